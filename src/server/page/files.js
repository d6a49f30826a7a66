// files.js - choosing a file to search by, and asking the server to embed it.
import {el, bytes, replace} from './dom.js';
import {call, get, collectionPath, toJson} from './api.js';
import {player} from './sounds.js';

const ACCEPT = {image: 'image/jpeg,image/png,image/webp', sound: 'audio/*,.flac,.opus,.gsm'};

/** What the server can embed for a collection: {available, vectors: {name: {media}}, max_file_size_mb, why}. */
export async function embedding(c, signal) {
  try {
    return await get(collectionPath(c, '/embedding'), signal);
  } catch (error) {
    if (error.name === 'AbortError' || error.status !== 404) throw error;
    return {available: false, vectors: {}, why: 'this server does not know how to embed files'};
  }
}

/** POST points/search-file: the envelope, as that of points/query. */
export function searchByFile(c, file, body, signal) {
  const form = new FormData();
  for (const [key, value] of Object.entries(body)) form.set(key, key === 'using' ? value : toJson(value));
  form.set('file', file, file.name);
  return call('POST', collectionPath(c, '/points/search-file'), form, signal);
}

/** The field to choose or drop a file in. `chosen` is called with each file that will do. */
export class FileChooser {
  constructor(chosen) {
    this.chosen = chosen;
    this.file = null;
    this.input = el('input', {type: 'file', 'aria-label': 'File to search by', onchange: () => this.take(this.input.files[0])});
    this.problem = el('div', {class: 'bare', role: 'alert'});
    this.note = el('p', {class: 'note small'});
    this.element = el('div', {class: 'stack tight', hidden: true}, this.input, this.note, this.problem);
  }

  use(told) {
    const media = Object.values(told.vectors)[0]?.media;
    this.told = told;
    this.input.disabled = !told.available;
    this.input.accept = ACCEPT[media] ?? '';
    replace(this.problem);
    this.note.textContent = told.available
      ? `A ${media === 'sound' ? 'sound' : 'picture'} of at most ${told.max_file_size_mb} MB, chosen here or dropped anywhere on this view. The server embeds it and forgets it.`
      : `Not available: ${told.why}.`;
  }

  /** Whether it will do; says so where not. */
  take(file) {
    replace(this.problem);
    if (!file) return false;
    const most = (this.told?.max_file_size_mb ?? 0) * 2 ** 20;
    if (!this.told?.available || file.size > most) {
      replace(this.problem, el('p', {class: 'error small'}, this.told?.available
        ? `${file.name} is of ${bytes(file.size)}; ${this.told.max_file_size_mb} MB are allowed.`
        : `The server does not search by files: ${this.told?.why ?? 'it has not been asked yet'}.`));
      return false;
    }
    if (this.url) URL.revokeObjectURL(this.url);
    this.file = file;
    this.url = URL.createObjectURL(file);
    this.chosen(file);
    return true;
  }

  /** What was chosen, to look at or to listen to. */
  preview() {
    if (this.file.type.startsWith('image/')) return el('img', {src: this.url, alt: ''});
    return el('div', {class: 'blank', 'aria-hidden': 'true'}, '♪');
  }

  listen() {
    return this.file.type.startsWith('audio/') ? player(this.url, this.file.name) : null;
  }

  /** Files dropped anywhere on `place` are taken. */
  watch(place, signal) {
    const hasFile = (e) => [...(e.dataTransfer?.types ?? [])].includes('Files');
    place.addEventListener('dragover', (e) => { if (hasFile(e)) { e.preventDefault(); place.classList.add('dropping'); } }, {signal});
    place.addEventListener('dragleave', (e) => { if (!place.contains(e.relatedTarget)) place.classList.remove('dropping'); }, {signal});
    place.addEventListener('drop', (e) => {
      if (!hasFile(e)) return;
      e.preventDefault();
      place.classList.remove('dropping');
      this.dropped?.();
      this.take(e.dataTransfer.files[0]);
    }, {signal});
  }
}
