// chart.js - lines over the last minutes. Each series has a colour and a dash of its own, its name
// and its newest value in words.
import {el, svg, replace} from './dom.js';

const W = 480, H = 170, LEFT = 6, RIGHT = 8, TOP = 16, BOTTOM = 18;
const DASHES = ['', '7 3', '2 3', '10 3 2 3', '1 4'];

export class Chart {
  /** series: names; format: number -> text; span: seconds shown at most, from one minute on */
  constructor(title, series, format, {span = 300, note, floor = 0, ceiling} = {}) {
    Object.assign(this, {title, series, format, span, floor, ceiling, points: []});
    this.picture = svg('svg', {class: 'chart', viewBox: `0 0 ${W} ${H}`, role: 'img', onpointermove: (e) => this.#hover(e), onpointerleave: () => { this.hovered = null; this.draw(); }});
    this.values = el('dl', {class: 'chart-values'});
    this.element = el('section', {class: 'card chart-card'}, el('div', {class: 'row apart'}, el('h2', {}, title), note && el('small', {class: 'note'}, note)), this.values, this.picture);
  }

  /** values: one of each series; undefined where there is none */
  add(at, values) {
    this.points.push({at, values});
    while (this.points.length && this.points[0].at < at - this.span * 1000) this.points.shift();
    this.draw();
  }

  draw() {
    const now = this.points.at(-1)?.at ?? 0, span = this.#shown(), from = now - span * 1000;
    const all = this.points.flatMap((p) => p.values.filter((v) => Number.isFinite(v)));
    const [low, high] = this.#scale(all);
    const x = (at) => LEFT + (at - from) / (now - from || 1) * (W - LEFT - RIGHT);
    const y = (v) => H - BOTTOM - (v - low) / (high - low || 1) * (H - TOP - BOTTOM);
    const lines = [low, (low + high) / 2, high].map((v) => [svg('line', {class: 'rule', x1: LEFT, x2: W - RIGHT, y1: y(v), y2: y(v)}), svg('text', {class: 'axis', x: LEFT, y: y(v) - 3}, this.format(v))]);
    const minutes = [0, 0.5, 1].map((t) => svg('text', {class: 'axis', x: LEFT + t * (W - LEFT - RIGHT), y: H - 4, 'text-anchor': t === 0 ? 'start' : t === 1 ? 'end' : 'middle'}, t === 1 ? 'now' : `−${Math.round(span * (1 - t))} s`));
    const curves = this.series.map((_, i) => svg('path', {class: `line line${i}`, 'stroke-dasharray': DASHES[i], d: this.#path(i, x, y)}));
    const shown = this.hovered ?? this.points.at(-1);
    const cursor = this.hovered ? svg('line', {class: 'cursor', x1: x(this.hovered.at), x2: x(this.hovered.at), y1: TOP, y2: H - BOTTOM}) : '';
    const end = shown ? shown.values.map((v, i) => (Number.isFinite(v) ? svg('circle', {class: `end line${i}`, cx: x(shown.at), cy: y(v), r: 3.5}) : '')) : [];
    replace(this.picture, ...lines.flat(), ...minutes, ...curves, cursor, ...end);
    this.#say(shown);
  }

  /** Seconds on the axis: as many as have been seen, in whole minutes. */
  #shown() {
    const seen = this.points.length ? (this.points.at(-1).at - this.points[0].at) / 1000 : 0;
    return Math.min(this.span, Math.max(1, Math.ceil(seen / 60)) * 60);
  }

  #scale(all) {
    if (this.ceiling) return [Math.min(this.ceiling - 0.1, ...all.map((v) => Math.floor(v * 10) / 10)), this.ceiling];
    if (!all.length) return [0, 1];
    const high = Math.max(...all), low = Math.min(this.floor ?? Infinity, ...all);
    if (high === low) return [low, low + (Math.abs(low) || 1)];
    const step = 10 ** Math.floor(Math.log10(Math.max(high - low, 1e-12))) / 2;
    return [Math.floor(low / step) * step, Math.max(Math.ceil(high / step) * step, low + step)];
  }

  #path(i, x, y) {
    let d = '', pen = 'M';
    for (const p of this.points) {
      const v = p.values[i];
      if (!Number.isFinite(v)) { pen = 'M'; continue; }
      d += `${pen}${x(p.at).toFixed(1)} ${y(v).toFixed(1)}`;
      pen = 'L';
    }
    return d;
  }

  #say(shown) {
    const value = (i) => { const v = shown?.values[i]; return Number.isFinite(v) ? this.format(v) : '–'; };
    replace(this.values, ...this.series.map((name, i) => el('div', {}, el('dt', {},
      svg('svg', {viewBox: '0 0 26 8', class: 'dash', 'aria-hidden': 'true'}, svg('path', {class: `line line${i}`, 'stroke-dasharray': DASHES[i], d: 'M0 4H26'})), name), el('dd', {}, value(i)))));
    this.picture.setAttribute('aria-label', `${this.title}, the last minutes: ${this.series.map((n, i) => `${n} ${value(i)}`).join(', ')}`);
  }

  #hover(event) {
    const box = this.picture.getBoundingClientRect(), now = this.points.at(-1)?.at ?? 0;
    const at = now - this.#shown() * 1000 * (1 - ((event.clientX - box.left) / box.width * W - LEFT) / (W - LEFT - RIGHT));
    this.hovered = this.points.reduce((best, p) => (!best || Math.abs(p.at - at) < Math.abs(best.at - at) ? p : best), null);
    this.draw();
  }
}
