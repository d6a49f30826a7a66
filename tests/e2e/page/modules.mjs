// modules.mjs - the page's modules that need no browser: node --test modules.mjs, with HASHWOOD_SOURCE.
import test from 'node:test';
import assert from 'node:assert/strict';
import {pathToFileURL} from 'node:url';

globalThis.sessionStorage = {getItem: () => ''};
const page = (name) => import(pathToFileURL(`${process.env.HASHWOOD_SOURCE}/src/server/page/${name}.js`));
const {toFilter, toRows, fieldsOf} = await page('filter');
const {parse, rate, sum, quantiles, weighted} = await page('prometheus');
const {duration, bytes, short, percent} = await page('dom');
const {parseId, toJson} = await page('api');
const {curl, pythonClient, javascript} = await page('snippets');
const {shape, named, title} = await page('pictures');
const {toBits} = await page('signatures');

const fields = fieldsOf({name: {data_type: 'keyword'}, when: {data_type: 'datetime'}},
  [{payload: {name: 'a', size: 3, tags: ['x', 'y'], deep: {flag: true}, image: 'data:image/png;base64,'}}, {payload: null}]);

test('fields come from indexes and from payloads, indexed ones first, pictures left out', () => {
  assert.deepEqual([...fields.keys()], ['name', 'when', 'size', 'tags', 'deep.flag']);
  assert.equal(fields.get('size').kind, 'number');
  assert.equal(fields.get('deep.flag').kind, 'bool');
  assert.deepEqual([...fields.get('tags').values], ['x', 'y']);
});

test('rows become a filter, and the filter the same rows', () => {
  for (const [row, filter] of [
    [{path: 'name', kind: 'keyword', op: 'any', values: ['a']}, {must: [{key: 'name', match: {value: 'a'}}]}],
    [{path: 'name', kind: 'keyword', op: 'none', values: ['a', 'b']}, {must_not: [{key: 'name', match: {any: ['a', 'b']}}]}],
    [{path: 'size', kind: 'number', op: 'gte', low: '2.5'}, {must: [{key: 'size', range: {gte: 2.5}}]}],
    [{path: 'size', kind: 'number', op: 'between', low: '1', high: '9'}, {must: [{key: 'size', range: {gte: 1, lte: 9}}]}],
    [{path: 'when', kind: 'datetime', op: 'lte', low: '2024-01-01'}, {must: [{key: 'when', range: {lte: '2024-01-01'}}]}],
    [{path: 'size', op: 'missing'}, {must: [{is_empty: {key: 'size'}}]}],
    [{path: 'size', op: 'exists'}, {must_not: [{is_empty: {key: 'size'}}]}]]) {
    assert.deepEqual(toFilter([row]), filter);
    assert.deepEqual(toFilter(toRows(filter, fields)), filter);
  }
  assert.equal(toFilter([{path: 'size', kind: 'number', op: 'gte', low: ''}]), null, 'an unfinished row asks for nothing');
});

test('a filter that rows cannot say stays JSON', () => {
  assert.equal(toRows({should: [{key: 'name', match: {value: 'a'}}]}, fields), null);
  assert.equal(toRows({must: [{key: 'size', range: {gt: 1}}]}, fields), null);
  assert.equal(toRows({must: [{key: 'unknown', match: {value: 1}}]}, fields), null);
  assert.equal(toRows({must: [{has_id: [1]}]}, fields), null);
});

const text = (n) => `# HELP r answers
# TYPE r counter
r{path="/a\\"b",status="200"} ${n}
r{path="/c",status="404"} ${n / 2}
d_bucket{le="0.1"} ${n}
d_bucket{le="1"} ${n * 2}
d_bucket{le="+Inf"} ${n * 2}
g{c="a"} 1
g{c="b"} 0.5
w{c="a"} 1
w{c="b"} 3
`;

test('metrics are read, and rates and percentiles follow from two readings', () => {
  const before = {...parse(text(100)), at: 0}, now = {...parse(text(200)), at: 10000};
  assert.equal(now.families.get('r').help, 'answers');
  assert.equal(now.samples[0].labels.path, '/a"b');
  assert.equal(sum(now, 'r'), 300);
  assert.equal(rate(before, now, 'r', {status: /^2/}), 10);
  assert.equal(rate(before, now, 'none'), undefined);
  assert.deepEqual(quantiles(before, now, 'd', {}, [0.25, 0.5, 0.75]), [0.05, 0.1, 0.55]);
  assert.deepEqual(quantiles(now, now, 'd', {}, [0.5]), [undefined]);
  assert.equal(weighted(now, 'g', 'w'), (1 + 1.5) / 4);
});

test('numbers are written to be read', () => {
  assert.deepEqual([duration(0.0000123), duration(0.0123), duration(3)], ['12.3 µs', '12.3 ms', '3 s']);
  assert.deepEqual([bytes(999), bytes(1234567)], ['999 bytes', '1.23 MB']);
  assert.deepEqual([short(0), short(1234.5), short(0.12345)], ['0', '1,235', '0.123']);
  assert.deepEqual([percent(0.951), percent(1), percent(undefined)], ['95.1 %', '100 %', '–']);
});

test('an id is a number when it is written as one, and loses nothing', () => {
  assert.equal(parseId(' 7 '), 7);
  assert.equal(parseId('007'), '007');
  assert.equal(parseId('18446744073709551615'), 18446744073709551615n);
  assert.equal(toJson({id: 18446744073709551615n, n: 0.5}), '{"id":18446744073709551615,"n":0.5}');
  assert.equal(parseId('5c56c793-69f3-4fbf-87e6-c4bf54c28c26'), '5c56c793-69f3-4fbf-87e6-c4bf54c28c26');
});

test('a search is written in three languages, quotes and all', () => {
  const body = {query: 7, filter: {must: [{key: "it's", match: {value: true}}]}, params: {exact: true}, limit: 3, with_payload: true};
  assert.match(curl("a'b c", body), /a'b%20c|a%27b%20c/);
  assert.match(curl('c', body), /it'\\''s/);
  assert.match(pythonClient('c', body), /query_filter=models\.Filter\(\*\*\{"must": \[/);
  assert.match(pythonClient('c', body), /"value": True/);
  assert.match(pythonClient('c', body), /SearchParams\(exact=True\)/);
  assert.match(javascript('c', body), /client\.query\("c", \{/);
});

test('pictures: by payload, by shape, never from another host', () => {
  assert.equal(named({image: '/pictures/1.png'}), '/pictures/1.png');
  assert.equal(named({image: '//elsewhere.example/1.png'}), null);
  assert.equal(named({image: 'https://elsewhere.example/1.png'}), null);
  assert.deepEqual(shape(Array(784).fill(1)), [28, 28]);
  assert.equal(shape(Array(784).fill(-1)), null, 'an embedding is no picture');
  assert.deepEqual(shape(Array(6).fill(-1), {image_shape: [2, 3]}), [2, 3]);
  assert.equal(shape(Array(783).fill(1)), null);
  assert.equal(title({n: 1, name: 'boot'}), 'boot');
  assert.equal(title({image: 'data:image/png;base64,', kind: 'x'}), 'x');
});

test('signatures are read from left to right', () => assert.deepEqual(toBits('8f1'), [1, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1]));
