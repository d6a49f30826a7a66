// map.js - the points seen along the two directions in which they differ most, with the anchors of
// the regions. What lies together here need not be near in all dimensions, hence the share of the
// variance that is written below.
import {el, number, replace} from './dom.js';
import {colour} from './pictures.js';

const HUES = ['#3fa076', '#d08828', '#4f93db', '#b566aa', '#cd5a57', '#7fa02f', '#2fabb2', '#a07d5a', '#8579e0', '#df79a8', '#6d93a5', '#b0a035'];

export class PointMap {
  constructor(chosen) {
    this.chosen = chosen;
    this.canvas = el('canvas', {class: 'map', role: 'img', onclick: (e) => this.#click(e), onpointermove: (e) => this.#hover(e), onpointerleave: () => this.#draw()});
    this.words = el('p', {class: 'note small at', 'aria-hidden': 'true'});
    this.legend = el('div', {class: 'legend'});
    this.element = el('div', {class: 'stack tight'}, this.canvas, this.words, this.legend);
    this.lit = {leaves: [], query: null, hits: []};
    new ResizeObserver(() => this.#draw()).observe(this.canvas);
    document.addEventListener('themechange', () => this.#draw());
  }

  /** points [{x, y, id, group}], anchors [{x, y, leaf, rows}] */
  set({points, anchors}) {
    Object.assign(this, {points, anchors});
    const [x, y] = [[...points, ...anchors].map((p) => p.x), [...points, ...anchors].map((p) => p.y)];
    const edge = (v) => { const s = [...v].sort((a, b) => a - b); return [s[Math.floor(s.length * 0.002)] ?? 0, s[Math.ceil(s.length * 0.998) - 1] ?? 1]; };
    [this.left, this.right] = edge(x);
    [this.top, this.bottom] = edge(y);
    const groups = new Map();
    for (const p of points) if (p.group !== undefined) groups.set(p.group, (groups.get(p.group) ?? 0) + 1);
    this.groups = [...groups].sort((a, b) => b[1] - a[1]).slice(0, HUES.length).map(([g]) => g).sort();
    this.#draw();
  }

  light(lit) {
    this.lit = {leaves: [], query: null, hits: [], ...lit};
    this.#draw();
  }

  select(leaf) {
    this.selected = leaf;
    this.#draw();
  }

  #place(p) {
    const pad = 16, w = this.canvas.clientWidth, h = this.canvas.clientHeight;
    return [pad + (p.x - this.left) / (this.right - this.left || 1) * (w - 2 * pad), h - pad - (p.y - this.top) / (this.bottom - this.top || 1) * (h - 2 * pad)];
  }

  #draw(hovered) {
    if (!this.points || !this.canvas.clientWidth) return;
    const {canvas} = this, scale = devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * scale;
    canvas.height = canvas.clientHeight * scale;
    const g = canvas.getContext('2d');
    g.scale(scale, scale);
    const c = Object.fromEntries(['ink', 'soft', 'card', 'leaf', 'amber', 'sky', 'rose'].map((n) => [n, colour(n)]));
    this.#dots(g, c);
    this.#anchors(g, c, hovered);
    this.#query(g, c);
    this.#words();
  }

  #dots(g, c) {
    const r = this.points.length > 4000 ? 1 : 1.6;
    for (const p of this.points) {
      const [x, y] = this.#place(p);
      const group = this.groups.indexOf(p.group);
      g.globalAlpha = group >= 0 ? 0.75 : 0.35;
      g.fillStyle = group >= 0 ? HUES[group] : c.soft;
      g.fillRect(x - r, y - r, 2 * r, 2 * r);
    }
    g.globalAlpha = 1;
  }

  #anchors(g, c, hovered) {
    const many = this.anchors.length > 1500;
    for (const a of this.anchors) {
      if (this.lit.leaves.includes(a.leaf)) continue;
      const [x, y] = this.#place(a);
      g.beginPath();
      g.arc(x, y, a.leaf === hovered?.leaf || a.leaf === this.selected ? 6 : many ? 1.5 : 2.6, 0, 7);
      g.fillStyle = c.card;
      g.strokeStyle = a.leaf === this.selected ? c.sky : c.ink;
      g.lineWidth = a.leaf === this.selected ? 2.5 : 1;
      g.fill();
      g.stroke();
    }
    g.font = '600 10.5px sans-serif';
    g.textAlign = 'center';
    g.textBaseline = 'middle';
    for (let turn = this.lit.leaves.length; turn > 0; turn--) {
      const a = this.anchors.find((b) => b.leaf === this.lit.leaves[turn - 1]);
      if (!a) continue;
      const [x, y] = this.#place(a);
      g.beginPath();
      g.arc(x, y, 9, 0, 7);
      g.fillStyle = c.amber;
      g.strokeStyle = a.leaf === this.selected ? c.sky : c.card;
      g.lineWidth = a.leaf === this.selected ? 3 : 1.5;
      g.fill();
      g.stroke();
      g.fillStyle = c.card;
      g.fillText(String(turn), x, y + 0.5);
    }
  }

  #query(g, c) {
    g.lineWidth = 2;
    g.strokeStyle = c.sky;
    for (const h of this.lit.hits) {
      const [x, y] = this.#place(h);
      g.strokeRect(x - 4, y - 4, 8, 8);
    }
    if (!this.lit.query) return;
    const [x, y] = this.#place(this.lit.query);
    g.beginPath();
    for (let i = 0; i < 10; i++) {
      const r = i % 2 ? 4.5 : 11, t = Math.PI * i / 5 - Math.PI / 2;
      g.lineTo(x + r * Math.cos(t), y + r * Math.sin(t));
    }
    g.closePath();
    g.fillStyle = c.rose;
    g.strokeStyle = c.card;
    g.fill();
    g.stroke();
  }

  #words() {
    this.canvas.setAttribute('aria-label', `Map of ${this.points.length} points and ${this.anchors.length} anchors of regions${this.lit.leaves.length ? `; ${this.lit.leaves.length} regions were opened, numbered in order` : ''}`);
    const key = (cls, text) => el('span', {class: 'key'}, el('i', {class: cls}), text);
    replace(this.legend,
      this.lit.query ? key('star', 'the query') : '', this.lit.hits.length ? key('square', 'hits') : '',
      this.lit.leaves.length ? key('turn', 'anchor of an opened leaf, by turn') : '', key('ring', 'anchor of another leaf'),
      ...this.groups.map((group, i) => { const k = key('dot', String(group)); k.firstChild.style.background = HUES[i]; return k; }));
  }

  #nearest(event) {
    const box = this.canvas.getBoundingClientRect();
    const [ex, ey] = [event.clientX - box.left, event.clientY - box.top];
    let best = null, nearest = 15 * 15;
    for (const a of this.anchors ?? []) {
      const [x, y] = this.#place(a), d = (x - ex) ** 2 + (y - ey) ** 2;
      if (d < nearest) [best, nearest] = [a, d];
    }
    return best;
  }

  #hover(event) {
    const a = this.#nearest(event);
    this.words.textContent = a ? `Leaf ${a.leaf}: ${number(a.rows)} points` : '';
    this.canvas.style.cursor = a ? 'pointer' : '';
    if (a !== this.hovered) this.#draw(a);
    this.hovered = a;
  }

  #click(event) {
    const a = this.#nearest(event);
    if (a) this.chosen(a.leaf);
  }
}
