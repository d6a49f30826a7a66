// tiles.js - points as tiles: picture, words, sound; and one point in a dialog. For search and gallery.
import {el, number, short, dialog} from './dom.js';
import {picture, title, vectorOf} from './pictures.js';
import {soundOf, playButton, player} from './sounds.js';
import {pretty} from './snippets.js';

/** A point looked at: how = {using, alike: what to do to find what is like it, more: an element or null}. */
export function details(p, how) {
  dialog(`Point ${p.id}`, (done) => {
    const vector = vectorOf(p, how.using);
    const sound = soundOf(p.payload);
    return el('div', {class: 'stack'},
      el('div', {class: 'row'}, el('div', {class: 'query-picture'}, picture(p, how.using)),
        el('div', {class: 'stack tight grow'}, p.score !== undefined && el('p', {}, 'Score ', el('b', {}, String(p.score))),
          sound && player(sound, title(p.payload) || p.id),
          el('button', {type: 'button', onclick: () => { done(); how.alike(p); }}, 'Find what is like it'),
          how.more?.(p, done))),
      el('h3', {}, 'Payload'), el('pre', {tabindex: '0'}, p.payload ? pretty(p.payload).replace(/"data:[^"]{80,}"/g, '"data:…"') : 'none'),
      vector && el('details', {}, el('summary', {}, `Vector of ${number(vector.length)} numbers`), el('pre', {class: 'vector', tabindex: '0'}, JSON.stringify(vector))));
  });
}

function tile(p, i, how) {
  const words = title(p.payload);
  const sound = soundOf(p.payload);
  const place = how.scored ? `Hit ${(how.offset ?? 0) + i + 1}: ` : '';
  return el('li', {class: 'hit'},
    el('button', {type: 'button', class: 'hit-picture', title: `Find what is like ${words || p.id}`,
      'aria-label': `${place}${words || 'point'}, id ${p.id}. Find what is like it`, onclick: () => how.alike(p)}, picture(p, how.using)),
    el('div', {class: 'hit-words'}, el('span', {class: 'hit-title'}, words || `${p.id}`),
      el('span', {class: 'hit-line'},
        sound && playButton(sound, words || `point ${p.id}`),
        how.scored ? el('span', {class: 'score', title: `score ${p.score}`}, short(p.score)) : !sound && el('span', {class: 'score'}, `#${p.id}`),
        el('button', {type: 'button', class: 'quiet small', 'aria-label': `Details of ${p.id}`, onclick: () => details(p, how)}, 'Details'))));
}

/** how: as for details, with {scored, offset} where points are hits. */
export const tiles = (points, how) => el('ol', {class: 'grid', start: (how.offset ?? 0) + 1}, points.map((p, i) => tile(p, i, how)));
