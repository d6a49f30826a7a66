// api.js - calls to the server this page came from.
import {el, dialog, field} from './dom.js';

/** Where the server's root is: this file is at <root>/dashboard/api.js. */
export const root = new URL('..', import.meta.url);

const KEY = 'hashwood.key';
const read = () => sessionStorage.getItem(KEY) ?? '';
let asking = null; // one question at a time, however many calls were refused

export class ApiError extends Error {
  constructor(message, status, method, path) {
    super(message);
    Object.assign(this, {status, method, path});
  }
}

export const hasKey = () => read() !== '';
export const setKey = (key) => sessionStorage.setItem(KEY, key);
export const headers = () => (read() ? {'api-key': read()} : {});
export const name = (text) => encodeURIComponent(text);
export const collectionPath = (c, rest = '') => `/collections/${name(c)}${rest}`;

/** Asks for the key; true when one was given. */
export function askKey(refused) {
  asking ??= dialog('API key', (done) => {
    const input = el('input', {type: 'password', autocomplete: 'off', value: '', required: true});
    return el('form', {onsubmit: (e) => { e.preventDefault(); done(input.value); }},
      el('p', {}, refused ? 'This server answers only with a key.' : 'Sent with every call until this tab is closed.'),
      field('Key', input),
      el('div', {class: 'row end'},
        hasKey() && el('button', {type: 'button', onclick: () => done('')}, 'Forget it'),
        el('button', {class: 'primary'}, 'Use this key')));
  }).then((key) => {
    asking = null;
    if (key === undefined) return false;
    setKey(key);
    return key !== '';
  });
  return asking;
}

/** The answer as it came: {status, ok, text, type, seconds}. Never asks for a key. */
export async function send(method, path, body, signal) {
  const began = performance.now();
  let response;
  try {
    response = await fetch(new URL(path.replace(/^\/+/, ''), root), {method, signal,
      headers: {...headers(), ...(body === undefined || body instanceof FormData ? {} : {'Content-Type': 'application/json'})},
      body: body === undefined ? undefined : body instanceof FormData || typeof body === 'string' ? body : toJson(body)});
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError('No connection could be made.', 0, method, path);
  }
  const text = await response.text();
  return {status: response.status, ok: response.ok, text, type: response.headers.get('content-type') ?? '',
    seconds: (performance.now() - began) / 1000};
}

/** JSON whose whole numbers stay exact: ids go up to 2^64 - 1, so large ones become BigInts. */
export function fromJson(text) {
  const exact = (key, value, context) => (typeof value === 'number' && !Number.isSafeInteger(value) && /^\d+$/.test(context?.source ?? '') ? BigInt(context.source) : value);
  return JSON.parse(text, /\d{16}/.test(text) ? exact : undefined);
}

/** The other way round. */
export const toJson = (value, indent) => JSON.stringify(value, (key, v) => (typeof v === 'bigint' ? `\u0001${v}` : v), indent)?.replace(/"\\u0001(\d+)"/g, '$1');

function parse(text) {
  try { return fromJson(text); } catch { return undefined; }
}

/** The whole envelope {result, time, ...} of a call; throws ApiError with the server's words. */
export async function call(method, path, body, signal) {
  let answer = await send(method, path, body, signal);
  if (answer.status === 401 && await askKey(true)) answer = await send(method, path, body, signal);
  const json = parse(answer.text);
  if (answer.ok && json !== undefined) return json;
  const words = json?.status?.error ?? (answer.text.length < 300 && !answer.text.startsWith('<') ? answer.text : '');
  throw new ApiError(words || `The server answered ${answer.status}.`, answer.status, method, path);
}

export const result = async (...args) => (await call(...args)).result;
export const get = (path, signal) => result('GET', path, undefined, signal);

export async function text(path, signal) {
  let answer = await send('GET', path, undefined, signal);
  if (answer.status === 401 && await askKey(true)) answer = await send('GET', path, undefined, signal);
  if (!answer.ok) throw new ApiError(answer.text || `The server answered ${answer.status}.`, answer.status, 'GET', path);
  return answer.text;
}

/** What the page needs to know of a collection, in one shape whatever its vectors are. */
export async function collection(c, signal) {
  const info = await get(collectionPath(c), signal);
  const params = info.config?.params ?? {};
  const given = params.vectors ?? {};
  const dense = typeof given.size === 'number' ? {'': given} : given;
  const vectors = Object.entries(dense).map(([name, v]) => ({name, dim: v.size, distance: v.distance, multi: !!v.multivector_config}));
  const sparse = Object.keys(params.sparse_vectors ?? {}).map((name) => ({name, sparse: true, distance: 'Dot'}));
  return {name: c, info, vectors: [...vectors, ...sparse], schema: info.payload_schema ?? {}, points: info.points_count ?? 0};
}

/** The text of an id from a form: digits are a number (kept exact), anything else a string. */
export function parseId(text) {
  const t = text.trim();
  if (!/^(0|[1-9]\d*)$/.test(t)) return t;
  return Number.isSafeInteger(Number(t)) ? Number(t) : BigInt(t);
}

/** Some points of a collection; random ones where the server can. */
export async function sample(c, limit, options, signal) {
  const ask = {limit, with_payload: true, with_vector: false, ...options};
  try {
    return (await result('POST', collectionPath(c, '/points/query'), {query: {sample: 'random'}, ...ask}, signal)).points;
  } catch (error) {
    if (error.name === 'AbortError' || error.status === 0 || error.status === 401 || error.status === 404) throw error;
    return (await result('POST', collectionPath(c, '/points/scroll'), ask, signal)).points;
  }
}
