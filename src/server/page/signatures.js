// signatures.js - a leaf from inside: one line of bits for each vector in it, in bucket order, so that
// near-duplicates lie under each other. Compared with one line, the others show where they differ.
import {el, number, announce} from './dom.js';
import {colour} from './pictures.js';

const LINE = 5;

export const toBits = (hex) => [...hex].flatMap((h) => { const v = parseInt(h, 16); return [v >> 3 & 1, v >> 2 & 1, v >> 1 & 1, v & 1]; });

export class Signatures {
  constructor(chosen) {
    this.chosen = chosen; // called with a point's id
    this.canvas = el('canvas', {class: 'bits', role: 'img', tabindex: '0', onclick: (e) => this.#click(e), onkeydown: (e) => this.#key(e), onpointermove: (e) => this.#hover(e)});
    this.words = el('p', {class: 'note small at'});
    const key = (cls, text) => el('span', {class: 'key'}, el('i', {class: cls}), text);
    this.element = el('div', {class: 'stack tight'}, el('div', {class: 'scroll bits-box'}, this.canvas), this.words,
      el('div', {class: 'legend'}, key('bit', 'bit is set'), key('bit-more', 'set, unlike in the framed line'), key('bit-less', 'not set, unlike there'), key('bit-hit', 'line of a hit or of the query')));
    new ResizeObserver(() => this.draw()).observe(this.element);
    document.addEventListener('themechange', () => this.draw());
  }

  /** rows [{id, bits: hexadecimal, bucket}], query: hexadecimal or null, marked: ids of hits */
  set(rows, query, marked = new Set()) {
    this.rows = rows.map((r) => ({...r, values: toBits(r.bits), hit: marked.has(String(r.id))}));
    this.query = query ? {id: 'the query', values: toBits(query)} : null;
    this.against = this.query;
    this.at = 0;
    this.draw();
  }

  /** Compares all with the line of this point. */
  compare(id) {
    this.at = this.rows.findIndex((r) => String(r.id) === String(id));
    this.against = this.rows[this.at] ?? this.query;
    this.draw();
  }

  draw() {
    if (!this.rows?.length || !this.element.clientWidth) return;
    const bits = this.rows[0].values.length, margin = 78;
    const cell = Math.max(2, Math.floor((this.element.clientWidth - margin - 8) / bits));
    const [w, h] = [cell * bits + margin, this.rows.length * LINE + 2];
    const scale = devicePixelRatio || 1, g = this.canvas.getContext('2d');
    Object.assign(this.canvas, {width: w * scale, height: h * scale});
    this.canvas.style.width = `${w}px`;
    this.canvas.style.height = `${h}px`;
    g.scale(scale, scale);
    const c = Object.fromEntries(['ink', 'leaf', 'amber', 'line', 'sky', 'rose', 'soft'].map((n) => [n, colour(n)]));
    this.rows.forEach((row, i) => this.#line(g, c, row, i, cell));
    this.#say(bits);
  }

  #line(g, c, row, i, cell) {
    const y = i * LINE, against = this.against?.values;
    let same = 0;
    row.values.forEach((bit, b) => {
      const differs = against && bit !== against[b];
      same += !differs;
      if (!bit && !differs) return;
      g.fillStyle = differs ? c.amber : c.leaf;
      g.globalAlpha = differs && !bit ? 0.4 : 1;
      g.fillRect(b * cell, y, cell - (cell > 3 ? 1 : 0), LINE - 1);
    });
    g.globalAlpha = 1;
    row.same = same;
    const right = cell * row.values.length + 8;
    if (against) {
      const share = Math.max(0, same / row.values.length - 0.4) / 0.6;
      g.fillStyle = row.hit ? c.rose : row === this.against ? c.sky : c.soft;
      g.fillRect(right, y, Math.max(2, share * 58), LINE - 1);
      if (row.hit) g.fillRect(right + 62, y, 6, LINE - 1);
    }
    if (i && row.bucket !== undefined && row.bucket !== this.rows[i - 1].bucket) {
      g.fillStyle = c.ink;
      g.globalAlpha = 0.35;
      g.fillRect(0, y - 1, right - 8, 1);
      g.globalAlpha = 1;
    }
    if (row === this.against) { g.strokeStyle = c.sky; g.lineWidth = 1.5; g.strokeRect(0, y - 0.5, right - 8, LINE); }
  }

  #say(bits) {
    const buckets = new Set(this.rows.map((r) => r.bucket)).size;
    this.canvas.setAttribute('aria-label', `${this.rows.length} signatures of ${bits} bits${buckets > 1 ? ` in ${buckets} buckets` : ''}. Up and down choose a line, Enter searches for its point.`);
    const others = this.rows.filter((r) => r !== this.against).map((r) => r.same).sort((a, b) => b - a);
    this.words.textContent = this.against ? `Compared with ${this.against.id === 'the query' ? 'the query' : `point ${this.against.id}`}: the closest other line agrees in ${others[0] ?? 0} of ${bits} bits, the middle one in ${others[others.length >> 1] ?? 0}. Two unrelated vectors would agree in half of them.`
      : `${number(this.rows.length)} lines of ${bits} bits. Click one to compare the others with it.`;
  }

  #row(event) {
    return this.rows[Math.floor((event.clientY - this.canvas.getBoundingClientRect().top) / LINE)];
  }

  #hover(event) {
    const row = this.#row(event);
    this.canvas.title = row ? `Point ${row.id}${this.against ? `: ${row.same} of ${row.values.length} bits agree` : ''}` : '';
  }

  #click(event) {
    const row = this.#row(event);
    if (row) this.compare(row.id);
  }

  #key(event) {
    const step = {ArrowUp: -1, ArrowDown: 1}[event.key];
    if (event.key === 'Enter' && this.rows[this.at]) this.chosen(this.rows[this.at].id);
    else if (step) {
      this.at = Math.max(0, Math.min(this.rows.length - 1, this.at + step));
      this.against = this.rows[this.at];
      this.draw();
      announce(`Point ${this.against.id}`);
    } else return;
    event.preventDefault();
  }
}
