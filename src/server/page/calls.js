// calls.js - what the console knows of the interface: paths with a body to begin from, and the words
// that occur in bodies.

const filter = {must: [{key: 'name', match: {value: 'Bag'}}]};

/** [method, path, what it does, body]; {c} stands for the collection in use. */
export const CALLS = [
  ['GET', '/', 'Version of the server'],
  ['GET', '/collections', 'Names of all collections'],
  ['GET', '/collections/{c}', 'Settings and counts of a collection'],
  ['PUT', '/collections/{c}', 'Create a collection', {vectors: {size: 4, distance: 'Cosine'}}],
  ['PATCH', '/collections/{c}', 'Change settings', {optimizers_config: {}}],
  ['DELETE', '/collections/{c}', 'Drop a collection'],
  ['GET', '/collections/{c}/exists', 'Whether there is such a collection'],
  ['GET', '/collections/{c}/stats', 'Statistics of the index'],
  ['GET', '/collections/{c}/recall', 'Recall measured on samples'],
  ['PUT', '/collections/{c}/points', 'Insert or replace points', {points: [{id: 1, vector: [0.1, 0.2, 0.3, 0.4], payload: {name: 'one'}}]}],
  ['POST', '/collections/{c}/points', 'Read points by id', {ids: [1, 2], with_payload: true, with_vector: false}],
  ['GET', '/collections/{c}/points/1', 'Read one point'],
  ['POST', '/collections/{c}/points/delete', 'Delete points', {points: [1]}],
  ['POST', '/collections/{c}/points/query', 'Search: nearest to a stored point', {query: 1, limit: 5, with_payload: true}],
  ['POST', '/collections/{c}/points/query', 'Search: with recall, filter and explain', {query: 1, limit: 5, params: {recall: 0.99}, filter, with_payload: true, explain: true}],
  ['POST', '/collections/{c}/points/query', 'Search: like these, not like those', {query: {recommend: {positive: [1], negative: [2], strategy: 'average_vector'}}, limit: 5}],
  ['POST', '/collections/{c}/points/query', 'Search: two ways, fused', {prefetch: [{query: 1, limit: 20}, {query: 2, limit: 20}], query: {fusion: 'rrf'}, limit: 5}],
  ['POST', '/collections/{c}/points/query', 'Points at random', {query: {sample: 'random'}, limit: 5}],
  ['POST', '/collections/{c}/points/query/groups', 'Search: the best of each group', {query: 1, group_by: 'name', limit: 4, group_size: 2}],
  ['POST', '/collections/{c}/points/query/batch', 'Several searches at once', {searches: [{query: 1, limit: 3}, {query: 2, limit: 3}]}],
  ['POST', '/collections/{c}/points/why', 'Why a point is (not) a hit', {query: 1, id: 2, limit: 10}],
  ['POST', '/collections/{c}/points/scroll', 'Points in the order of their ids', {limit: 10, with_payload: true}],
  ['POST', '/collections/{c}/points/count', 'Count points', {filter, exact: true}],
  ['POST', '/collections/{c}/facet', 'Values of a field with counts', {key: 'name', limit: 20}],
  ['POST', '/collections/{c}/points/payload', 'Set keys of payloads', {payload: {seen: true}, points: [1]}],
  ['POST', '/collections/{c}/points/payload/delete', 'Remove keys of payloads', {keys: ['seen'], points: [1]}],
  ['POST', '/collections/{c}/points/batch', 'Several changes, all or none', {operations: [{upsert: {points: []}}, {delete: {points: [1]}}]}],
  ['POST', '/collections/{c}/points/search/matrix/pairs', 'Distances among a sample', {sample: 10, limit: 3}],
  ['PUT', '/collections/{c}/index', 'Index a payload field', {field_name: 'name', field_schema: 'keyword'}],
  ['DELETE', '/collections/{c}/index/name', 'Drop the index of a field'],
  ['GET', '/collections/{c}/embedding', 'Whether files can be searched by'],
  ['GET', '/collections/{c}/index', 'The tree'],
  ['GET', '/collections/{c}/index/map', 'Points and anchors in two dimensions'],
  ['POST', '/collections/{c}/index/build', 'Build the vector index afresh'],
  ['GET', '/collections/{c}/snapshots', 'Snapshots of a collection'],
  ['POST', '/collections/{c}/snapshots', 'Create a snapshot'],
  ['GET', '/aliases', 'All aliases'],
  ['POST', '/collections/aliases', 'Change aliases', {actions: [{create_alias: {collection_name: 'fashion', alias_name: 'clothes'}}]}],
  ['GET', '/metrics', 'Metrics for Prometheus'],
  ['GET', '/telemetry', 'What the server has done'],
  ['GET', '/healthz', 'Is it alive?'],
  ['GET', '/readyz', 'Is it ready?'],
];

/** Keys and values of bodies, offered while one types. */
export const WORDS = ['batch', 'boost', 'context', 'datetime_range', 'dbsf', 'direction', 'discover', 'distance', 'exact', 'except', 'exclude', 'explain',
  'fusion', 'geo_bounding_box', 'geo_radius', 'group_by', 'group_size', 'has_id', 'has_vector', 'hnsw_ef', 'ids', 'include', 'is_empty', 'is_null', 'key',
  'keyword', 'limit', 'lookup_from', 'match', 'min_should', 'multivector_config', 'must', 'must_not', 'nearest', 'negative', 'nested', 'offset', 'order_by',
  'params', 'payload', 'phrase', 'points', 'positive', 'prefetch', 'query', 'range', 'recall', 'recommend', 'sample', 'score_threshold', 'should', 'size',
  'sparse_vectors', 'strategy', 'target', 'text', 'time_budget_ms', 'using', 'value', 'values_count', 'vector', 'vectors', 'with_lookup', 'with_payload', 'with_vector',
  'Cosine', 'Euclid', 'Dot', 'Manhattan', 'average_vector', 'best_score', 'sum_scores', 'integer', 'float', 'bool', 'datetime', 'geo', 'uuid'];
