// tree.js - the KD-tree as an icicle: the root above, each region as wide as the share of points it
// holds, leaves at the bottom. Regions a search opened carry the number of their turn, on pins below.
//
//     +---------------------------------+
//     |              root               |
//     +------------------+--------------+
//     |       L          |      R       |
//     +--------+---------+-------+------+
//     |   LL   |   LR    |  RL   |  RR  |
//              ①  ②              ③
import {el, svg, number, announce, replace} from './dom.js';

const ROW = 30, PINS = 62, LEVELS = 13, SMALLEST = 0.6;

export class Tree {
  constructor(chosen) {
    this.chosen = chosen; // called with a leaf's number
    this.picture = svg('svg', {class: 'icicle', role: 'application', tabindex: '0', 'aria-roledescription': 'tree',
      'aria-label': 'The tree. Arrow keys move: down to a child, up to the parent, left and right between siblings. Enter zooms in or opens a leaf, Escape zooms out.',
      onkeydown: (e) => this.#key(e)});
    this.trail = el('nav', {class: 'row trail', 'aria-label': 'Zoomed into'});
    this.words = el('p', {class: 'note small at', 'aria-hidden': 'true'});
    this.element = el('div', {class: 'stack tight'}, this.trail, el('div', {class: 'icicle-box'}, this.picture), this.words);
    this.opened = [];
    new ResizeObserver(() => { if (this.nodes && Math.abs(this.width - this.picture.clientWidth) > 4) this.draw(); }).observe(this.picture);
  }

  /** nodes: [{node, parent, left, right, rows}], the first is the root. */
  set(nodes) {
    this.nodes = new Map(nodes.map((n) => [n.node, {...n, isLeaf: n.left === undefined || n.left === null}]));
    this.rootNode = nodes.find((n) => n.parent === null || n.parent === undefined)?.node ?? nodes[0].node;
    const leaves = nodes.filter((n) => this.nodes.get(n.node).isLeaf).map((n) => n.rows).sort((a, b) => a - b);
    this.smallest = leaves[0];
    this.largest = leaves[leaves.length - 1];
    this.#measure(this.rootNode, 0, '');
    this.zoomed = this.at = this.rootNode;
    this.draw();
  }

  /** Counts, depth and path of each node, without recursion deeper than the tree. */
  #measure(id, depth, path) {
    const n = this.nodes.get(id);
    Object.assign(n, {depth, path});
    if (n.isLeaf) return n.rows ?? 0;
    n.rows = this.#measure(n.left, depth + 1, `${path}L`) + this.#measure(n.right, depth + 1, `${path}R`);
    return n.rows;
  }

  leafOfPath(path) {
    let n = this.nodes.get(this.rootNode);
    for (const step of path) n = this.nodes.get(step === 'L' ? n.left : n.right) ?? n;
    return n;
  }

  /** Leaves a search opened, in order. */
  light(leaves) {
    this.opened = leaves.filter((id) => this.nodes?.has(id));
    this.onTheWay = new Set();
    for (const id of this.opened) {
      for (let n = this.nodes.get(id); n; n = this.nodes.get(n.parent)) this.onTheWay.add(n.node);
    }
    if (this.nodes) this.draw();
  }

  select(leaf) {
    this.selected = leaf;
    this.draw();
  }

  draw() {
    const width = this.width = Math.max(280, this.picture.clientWidth || 900);
    const top = this.nodes.get(this.zoomed);
    const levels = Math.min(LEVELS, this.#levels(top));
    const height = levels * ROW + (this.opened.length ? PINS : 4);
    const places = this.places = new Map();
    const boxes = [];
    const put = (n, x, w, level) => {
      if (level >= levels || (w < SMALLEST && !this.onTheWay?.has(n.node))) return;
      places.set(n.node, {x, w, y: level * ROW});
      boxes.push(this.#box(n, x, w, level * ROW, n.isLeaf ? (levels - level) * ROW : ROW));
      if (n.isLeaf) return;
      const [l, r] = [this.nodes.get(n.left), this.nodes.get(n.right)];
      const share = l.rows / Math.max(1, n.rows) * w;
      put(l, x, share, level + 1);
      put(r, x + share, w - share, level + 1);
    };
    put(top, 0, width, 0);
    this.picture.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.picture.style.height = `${height}px`;
    replace(this.picture, ...boxes, ...this.#pins(levels * ROW), this.#cursor());
    this.#trail();
  }

  #levels(n) {
    let deepest = 0;
    const stack = [n];
    while (stack.length) {
      const m = stack.pop();
      deepest = Math.max(deepest, m.depth - n.depth + 1);
      if (!m.isLeaf) stack.push(this.nodes.get(m.left), this.nodes.get(m.right));
    }
    return deepest;
  }

  #box(n, x, w, y, h) {
    const size = n.isLeaf ? Math.round(1 + 4 * (n.rows - this.smallest) / Math.max(1, this.largest - this.smallest)) : 0;
    const kind = this.opened.includes(n.node) ? 'opened' : n.isLeaf ? `leaf size${size}` : this.onTheWay?.has(n.node) ? 'way' : 'inner';
    const gap = w > 5 ? 1 : w > 2 ? 0.4 : 0;
    const box = svg('rect', {class: `${kind}${this.selected === n.node ? ' selected' : ''}`, x, y, width: Math.max(kind === 'opened' ? 2 : 0.3, w - gap), height: h - 1,
      onclick: () => this.#press(n), onpointerenter: () => this.#tell(n)});
    const words = n.depth ? `${n.path.slice(-1) === 'L' ? 'left' : 'right'} ${number(n.rows)}` : `all ${number(n.rows)} points`;
    const room = w > words.length * 7.4 + 12 && !n.isLeaf;
    return svg('g', {}, box, room ? svg('text', {x: x + 7, y: y + ROW / 2 + 4}, words) : '');
  }

  #pins(bottom) {
    const seen = this.opened.map((id, i) => ({...this.places.get(id), turn: i + 1, id})).filter((p) => p.x !== undefined).sort((a, b) => a.x - b.x);
    const R = 10, step = 2 * R + 2;
    let right = -Infinity;
    for (const p of seen) { p.px = Math.max(p.x + p.w / 2, right + step, R + 1); right = p.px; }
    let left = this.width - R - 1;
    for (const p of [...seen].reverse()) { p.px = Math.min(p.px, left); left = p.px - step; }
    return seen.slice(0, Math.floor(this.width / step)).map((p) => svg('g', {class: 'pin', onclick: () => this.#press(this.nodes.get(p.id))},
      svg('path', {d: `M${p.x + p.w / 2} ${bottom - 2}L${p.px} ${bottom + 28}`}), svg('circle', {cx: p.px, cy: bottom + 38, r: R}),
      svg('text', {x: p.px, y: bottom + 42, 'text-anchor': 'middle'}, String(p.turn))));
  }

  #cursor() {
    const p = this.places.get(this.at);
    return p ? svg('rect', {class: 'cursor', x: p.x + 1, y: p.y + 1, width: Math.max(3, p.w - 3), height: ROW - 3}) : '';
  }

  #trail() {
    const chain = [];
    for (let n = this.nodes.get(this.zoomed); n; n = this.nodes.get(n.parent)) chain.unshift(n);
    replace(this.trail, ...(chain.length < 2 ? [el('span', {class: 'note small'}, 'Click a region to zoom into it, a leaf to look inside.')]
      : chain.map((n, i) => el('button', {type: 'button', class: 'small', 'aria-current': i === chain.length - 1 ? 'true' : null, onclick: () => this.#zoom(n.node)},
        i ? (n.path.slice(-1) === 'L' ? 'left' : 'right') : 'Whole tree'))));
  }

  #tell(n) {
    const turn = this.opened.indexOf(n.node);
    this.words.textContent = `${n.isLeaf ? `Leaf ${n.node}` : n.depth ? 'Region' : 'Root'}${n.path ? ` at ${n.path}` : ''}: ${number(n.rows)} points${turn >= 0 ? `, opened as number ${turn + 1}` : ''}`;
    return this.words.textContent;
  }

  #press(n) {
    this.at = n.node;
    if (n.isLeaf) this.chosen(n.node);
    else this.#zoom(n.node === this.zoomed ? n.parent ?? n.node : n.node);
  }

  #zoom(id) {
    this.zoomed = this.at = id;
    this.draw();
    announce(`Zoomed: ${this.#tell(this.nodes.get(id))}`);
  }

  #key(event) {
    if (!this.nodes) return;
    const n = this.nodes.get(this.at), parent = this.nodes.get(n.parent);
    const go = {ArrowUp: n.parent, ArrowDown: n.left, ArrowLeft: parent?.left, ArrowRight: parent?.right}[event.key];
    if (event.key === 'Enter') this.#press(n);
    else if (event.key === 'Escape') this.#zoom(this.rootNode);
    else if (go === undefined || go === null) { if (!event.key.startsWith('Arrow')) return; }
    else {
      this.at = go;
      if (!this.places.has(go)) this.zoomed = event.key === 'ArrowDown' ? n.node : go;
      this.draw();
      announce(this.#tell(this.nodes.get(go)));
    }
    event.preventDefault();
  }
}
