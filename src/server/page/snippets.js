// snippets.js - a search as one would write it elsewhere.
import {collectionPath, root, hasKey, toJson} from './api.js';

const url = (path) => new URL(path.replace(/^\//, ''), root).href;

/** JSON, short arrays of numbers on one line. */
export const pretty = (value) => toJson(value, 2)
  .replace(/\[\s+((?:-?[\d.eE+-]+,?\s+)+)\]/g, (_, inner) => `[${inner.trim().split(/,\s+/).join(', ')}]`);

/** Python's way to write a JSON value. */
function python(value, indent = '') {
  const inside = `${indent}    `;
  if (value === null || value === undefined) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (typeof value !== 'object') return toJson(value);
  if (Array.isArray(value)) {
    if (value.every((v) => typeof v !== 'object')) return `[${value.map((v) => python(v)).join(', ')}]`;
    return `[\n${value.map((v) => inside + python(v, inside)).join(',\n')},\n${indent}]`;
  }
  return `{${Object.entries(value).map(([k, v]) => `${JSON.stringify(k)}: ${python(v, inside)}`).join(', ')}}`;
}

export function curl(c, body) {
  const key = hasKey() ? " \\\n  -H 'api-key: YOUR_KEY'" : '';
  return `curl -X POST '${url(collectionPath(c, '/points/query'))}' \\\n  -H 'Content-Type: application/json'${key} \\\n  -d '${pretty(body).replaceAll("'", "'\\''")}'`;
}

/** A search by a file: the same fields, in a form. */
export function curlFile(c, body, name) {
  const key = hasKey() ? " \\\n  -H 'api-key: YOUR_KEY'" : '';
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const fields = Object.entries(body).map(([k, v]) => ` \\\n  -F ${quoted(`${k}=${k === 'using' ? v : toJson(v)}`)}`);
  return `curl '${url(collectionPath(c, '/points/search-file'))}'${key} \\\n  -F ${quoted(`file=@${name}`)}${fields.join('')}`;
}

export function pythonFile(c, body, name) {
  const key = hasKey() ? '\n    headers={"api-key": "YOUR_KEY"},' : '';
  const fields = Object.fromEntries(Object.entries(body).map(([k, v]) => [k, k === 'using' ? v : toJson(v)]));
  return `import requests\n\nanswer = requests.post(\n    "${url(collectionPath(c, '/points/search-file'))}",${key}\n    files={"file": open(${JSON.stringify(name)}, "rb")},\n    data=${python(fields, '    ')},\n)\nfor hit in answer.json()["result"]["points"]:\n    print(hit["id"], hit["score"], hit["payload"])`;
}

export function javascriptFile(c, body) {
  const key = hasKey() ? ", headers: { 'api-key': 'YOUR_KEY' }" : '';
  const fields = Object.entries(body).map(([k, v]) => `form.set(${JSON.stringify(k)}, ${JSON.stringify(k === 'using' ? v : toJson(v))});\n`).join('');
  return `const form = new FormData();\nform.set('file', file); // a File, such as input.files[0]\n${fields}const answer = await fetch('${url(collectionPath(c, '/points/search-file'))}', { method: 'POST', body: form${key} });\nconst { points } = (await answer.json()).result;\nfor (const hit of points) console.log(hit.id, hit.score, hit.payload);`;
}

export function pythonClient(c, body) {
  const key = hasKey() ? ', api_key="YOUR_KEY"' : '';
  const lines = [`    ${python(c)},`, `    query=${python(body.query)},`];
  if (body.using) lines.push(`    using=${python(body.using)},`);
  if (body.filter) lines.push(`    query_filter=models.Filter(**${python(body.filter, '    ')}),`);
  if (body.params?.exact) lines.push('    search_params=models.SearchParams(exact=True),');
  lines.push(`    limit=${body.limit},`);
  if (body.offset) lines.push(`    offset=${body.offset},`);
  lines.push('    with_payload=True,');
  const recall = body.params?.recall ? `\n# recall ${body.params.recall} is hashwood's own setting, which this client does not know: see curl` : '';
  return `from qdrant_client import QdrantClient, models\n\nclient = QdrantClient(url="${root.origin}"${key})\nhits = client.query_points(\n${lines.join('\n')}\n).points\nfor hit in hits:\n    print(hit.id, hit.score, hit.payload)${recall}`;
}

export function javascript(c, body) {
  const key = hasKey() ? ", apiKey: 'YOUR_KEY'" : '';
  return `import { QdrantClient } from '@qdrant/js-client-rest';\n\nconst client = new QdrantClient({ url: '${root.origin}', checkCompatibility: false${key} });\nconst { points } = await client.query(${JSON.stringify(c)}, ${pretty(body)});\nfor (const hit of points) console.log(hit.id, hit.score, hit.payload);`;
}
