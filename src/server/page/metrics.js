// metrics.js - how the server does, live: every two seconds /metrics is read, rates and percentiles
// follow from what has grown between two readings.
import {el, number, bytes, duration, percent, short, showError, replace} from './dom.js';
import {text} from './api.js';
import {parse, sum, rate, weighted, quantiles} from './prometheus.js';
import {Chart} from './chart.js';

const EVERY = 2000;
const DURATIONS = 'rest_responses_duration_seconds';
const perSecond = (n) => `${short(n)}/s`;

/** Charts: title, series, how to write a value, and how each follows from two readings. */
function charts() {
  const of = (name, where) => (a, b) => rate(a, b, name, where);
  const level = (name) => (a, b) => sum(b, name);
  const mean = (total, count) => (a, b) => { const n = rate(a, b, count); return n ? rate(a, b, total) / n : undefined; };
  const recall = (where) => (a, b) => weighted(b, 'hashwood_recall', 'hashwood_recall_samples', where);
  return [
    ['Requests', {answered: of('rest_responses_total', {status: /^2/}), refused: of('rest_responses_total', {status: /^4/}), failed: of('rest_responses_total', {status: /^5/})}, perSecond],
    ['Latency of all requests', {median: null, '95 of 100': null, '99 of 100': null}, duration],
    ['Searches', {all: of('hashwood_searches_total'), filtered: of('hashwood_searches_filtered_total'), exact: of('hashwood_searches_exact_total')}, perSecond],
    ['Work of one search', {'codes scanned': mean('hashwood_codes_scanned_total', 'hashwood_searches_total'), 'rows refined': mean('hashwood_rows_refined_total', 'hashwood_searches_total'), 'compared exactly': mean('hashwood_rows_exact_total', 'hashwood_searches_total')}, short],
    ['Recall, measured on a sample', {'no filter': recall({filter: 'none'}), filtered: recall({filter: 'some'})}, percent, {floor: null, ceiling: 1}],
    ['Memory', {resident: level('memory_resident_bytes'), allocated: level('memory_allocated_bytes')}, bytes],
    ['Writes', {points: of('hashwood_points_written_total'), commits: of('hashwood_commits_total'), deletes: of('hashwood_points_deleted_total')}, perSecond],
    ['Storage', {used: level('hashwood_used_bytes'), free: level('hashwood_free_bytes')}, bytes],
  ].map(([title, series, format, options]) => ({ways: Object.values(series), chart: new Chart(title, Object.keys(series), format, options)}));
}

class Metrics {
  constructor(place, tools) {
    this.tools = tools;
    this.readings = [];
    this.charts = charts();
    this.problem = el('div', {class: 'bare'});
    this.facts = el('dl', {class: 'facts'});
    this.search = el('input', {type: 'search', placeholder: 'rest_responses', 'aria-label': 'Find a metric', oninput: () => this.#table()});
    this.rows = el('tbody', {});
    this.pause = el('button', {type: 'button', 'aria-pressed': 'false', onclick: () => this.#pause()}, 'Pause');
    place.append(el('div', {class: 'view-top'}, el('div', {}, el('h1', {}, 'Metrics'),
      el('p', {class: 'lead'}, 'Read from /metrics every two seconds; point a Prometheus there to keep them.')), this.pause),
    this.problem, el('div', {class: 'card'}, this.facts), el('div', {class: 'charts'}, this.charts.map((c) => c.chart.element)),
    el('details', {class: 'card'}, el('summary', {}, 'All metrics'), this.search,
      el('div', {class: 'scroll metrics-all', tabindex: '0', role: 'region', 'aria-label': 'All metrics'}, el('table', {}, el('thead', {}, el('tr', {}, el('th', {scope: 'col'}, 'Metric'), el('th', {scope: 'col'}, 'Labels'), el('th', {scope: 'col', class: 'n'}, 'Value'))), this.rows))));
    this.#read();
    this.timer = setInterval(() => { if (!document.hidden && !this.paused) this.#read(); }, EVERY);
  }

  leave() { clearInterval(this.timer); }

  #pause() {
    this.paused = !this.paused;
    this.pause.textContent = this.paused ? 'Go on' : 'Pause';
    this.pause.setAttribute('aria-pressed', String(this.paused));
  }

  async #read() {
    if (this.reading) return;
    this.reading = true;
    try {
      const now = {...parse(await text('/metrics', this.tools.signal)), at: Date.now()};
      this.readings.push(now);
      if (this.readings.length > 8) this.readings.shift();
      replace(this.problem);
      this.#show(now);
    } catch (error) {
      showError(this.problem, error);
    }
    this.reading = false;
  }

  #show(now) {
    const before = this.readings.at(-2), longer = this.readings[0];
    if (before) {
      for (const {ways, chart} of this.charts) {
        chart.add(now.at, chart.title.startsWith('Latency') ? quantiles(longer, now, DURATIONS, {}, [0.5, 0.95, 0.99]) : ways.map((w) => w(before, now)));
        chart.element.hidden = !chart.title.startsWith('Latency') && chart.points.every((p) => p.values.every((v) => v === undefined));
      }
    }
    const facts = [['Collections', number(sum(now, 'collections_total'))], ['Points', number(sum(now, 'collection_points'))], ['Requests so far', number(sum(now, 'rest_responses_total'))],
      ['Resident memory', bytes(sum(now, 'memory_resident_bytes'))], ['Threads', number(sum(now, 'process_threads'))], ['Open files', number(sum(now, 'process_open_fds'))]];
    replace(this.facts, ...facts.map(([n, v]) => el('div', {}, el('dt', {}, n), el('dd', {}, v))));
    this.#table();
  }

  #table() {
    const now = this.readings.at(-1), wanted = this.search.value.toLowerCase();
    if (!now || !this.rows.closest('details').open && this.rows.children.length) return;
    const rows = now.samples.filter((s) => !s.name.endsWith('_bucket') && `${s.name} ${Object.values(s.labels).join(' ')}`.toLowerCase().includes(wanted)).slice(0, 300);
    replace(this.rows, ...rows.map((s) => el('tr', {}, el('th', {scope: 'row', class: 'mono', title: now.families.get(s.name)?.help}, s.name),
      el('td', {class: 'small note'}, Object.entries(s.labels).map(([k, v]) => `${k}=${v}`).join(', ')), el('td', {class: 'n'}, Number.isInteger(s.value) ? number(s.value) : String(s.value)))));
  }
}

export default {title: 'Metrics', mount: (place, tools) => new Metrics(place, tools)};
