// dom.js - building elements, and how numbers are written, for every view.
//
// Text only ever enters the page as text nodes and attributes, never as markup: payloads are
// strangers' data.

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'dataset') Object.assign(node.dataset, value);
    else if (name === 'value' || name === 'checked' || name === 'disabled') node[name] = value;
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

/** el('p', {class: 'note', onclick: f}, 'text', otherElement, [more]) */
export const el = (tag, attributes, ...children) =>
  fill(document.createElement(tag), attributes, children);

export const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

/** Makes `children` all that `place` holds; null, undefined and false stand for nothing. */
export const replace = (place, ...children) => {
  place.replaceChildren();
  return fill(place, {}, children);
};

let labels = 0;

/** A control with its label above it; `hint` is read out with it. */
export function field(text, control, hint) {
  control.id ||= `c${++labels}`;
  const note = hint && el('small', {id: `${control.id}-hint`, class: 'hint'}, hint);
  if (note) control.setAttribute('aria-describedby', note.id);
  return el('div', {class: 'field'}, el('label', {for: control.id}, text), control, note);
}

export function select(choices, value, attributes) {
  const box = el('select', attributes, choices.map((c) => {
    const [key, text] = Array.isArray(c) ? c : [c, c];
    return el('option', {value: key}, text);
  }));
  if (value !== undefined && value !== null) box.value = value;
  return box;
}

export const number = (n) => (n === null || n === undefined || Number.isNaN(n) ? '–' : n.toLocaleString('en'));

/** 1, 'leaf', 'leaves' -> "1 leaf" */
export const counted = (n, one, many) => `${number(n)} ${n === 1 ? one : many}`;

/** 0.00043 s -> "0.43 ms" */
export function duration(seconds) {
  if (!(seconds >= 0)) return '–';
  if (seconds < 1e-3) return `${short(seconds * 1e6)} µs`;
  if (seconds < 1) return `${short(seconds * 1e3)} ms`;
  return `${short(seconds)} s`;
}

export function bytes(n) {
  if (!(n >= 0)) return '–';
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let i = 0;
  for (; n >= 1000 && i < 4; i++) n /= 1000;
  return `${i ? short(n) : n} ${units[i]}`;
}

/** Three digits that count. */
export const short = (n) => (n === 0 ? '0' : Math.abs(n) >= 100 ? number(Math.round(n)) : String(Number(n.toPrecision(3))));

export const percent = (x, digits = 1) => (Number.isFinite(x) ? `${(x * 100).toFixed(digits).replace(/\.0+$/, '')} %` : '–');

/** Replaces what `place` holds by a message about a failure, said aloud by screen readers. */
export function showError(place, error, again) {
  if (error.name === 'AbortError') return;
  place.replaceChildren(errorBox(error, again));
}

export function errorBox(error, again) {
  const titles = {0: 'The server does not answer', 401: 'A key is needed', 403: 'Not allowed with this key',
    404: 'Not found', 408: 'It took too long', 409: 'It exists already', 413: 'Too large', 429: 'Too many requests',
    503: 'The server is busy', 507: 'No room left'};
  const status = error.status;
  const title = titles[status] ?? (status >= 500 ? 'The server failed' : status ? 'The server refused this' : 'Something is wrong');
  return el('div', {class: 'error', role: 'alert'},
    el('strong', {}, title), el('p', {}, error.message),
    status ? el('small', {}, `${error.method} ${error.path} gave ${status}`) :
      status === 0 ? el('small', {}, 'Is it still running? Asked for ', error.path) : null,
    again && el('button', {type: 'button', onclick: again}, 'Try again'));
}

/** A remark that goes away by itself; the live region reads it. */
export function toast(text) {
  const box = el('div', {class: 'toast'}, text);
  document.getElementById('toasts').append(box);
  announce(text);
  setTimeout(() => box.remove(), 5000);
}

export function announce(text) {
  document.getElementById('announce').textContent = text;
}

export async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // without https the clipboard is closed to scripts, except this way
    const box = el('textarea', {class: 'unseen'}, text);
    document.body.append(box);
    box.select();
    document.execCommand('copy');
    box.remove();
  }
  const before = button.textContent;
  button.textContent = 'Copied';
  announce('Copied');
  setTimeout(() => { button.textContent = before; }, 1500);
}

/** A modal dialog; resolves with what `done` was called with, or undefined when closed. */
export function dialog(title, build, attributes) {
  return new Promise((resolve) => {
    let answer;
    const done = (value) => { answer = value; box.close(); };
    const heading = el('h2', {id: `d${++labels}`}, title);
    const box = el('dialog', {'aria-labelledby': heading.id, ...attributes,
      onclose: () => { box.remove(); resolve(answer); },
      onclick: (event) => { if (event.target === box) box.close(); }});
    box.append(el('div', {class: 'dialog'},
      el('div', {class: 'dialog-top'}, heading,
        el('button', {type: 'button', class: 'quiet', 'aria-label': 'Close', onclick: () => box.close()}, '✕')),
      build(done)));
    document.body.append(box);
    box.showModal();
  });
}
