// sounds.js - a point's sound: what its payload names, played by a button, one at a time.
import {el, toast} from './dom.js';

const NAMES = ['sound', 'audio'];

/** The sound a payload names (a data URI, or a path on this server), or null. Other hosts are never asked. */
export function soundOf(payload) {
  for (const key of NAMES) {
    const value = payload?.[key];
    if (typeof value === 'string' && (/^data:audio\//.test(value) || /^\/(?!\/)/.test(value))) return value;
  }
  return null;
}

let playing = null; // {audio, button}

function stop() {
  if (!playing) return;
  playing.audio.pause();
  playing.button.textContent = '▶';
  playing.button.setAttribute('aria-pressed', 'false');
  playing = null;
}

async function play(src, button) {
  const was = playing?.button;
  stop();
  if (was === button) return;
  const audio = new Audio(src);
  const mine = playing = {audio, button};
  const ended = () => { if (playing === mine) stop(); };
  audio.addEventListener('ended', ended);
  audio.addEventListener('timeupdate', () => { if (!button.isConnected) ended(); }); // the view has changed
  button.textContent = '■';
  button.setAttribute('aria-pressed', 'true');
  try {
    await audio.play();
  } catch (error) {
    if (error.name !== 'AbortError') { ended(); toast('This sound cannot be played here.'); }
  }
}

/** Pressed, it plays; pressed again, it stops. */
export function playButton(src, words) {
  const button = el('button', {type: 'button', class: 'quiet small play', 'aria-label': `Play ${words}`, title: 'Play', 'aria-pressed': 'false',
    onclick: () => play(src, button)}, '▶');
  return button;
}

/** The browser's own player. */
export const player = (src, words) => el('audio', {src, controls: true, preload: 'metadata', 'aria-label': `Sound of ${words}`});
