/**
 * The dependency rule: a folder may import what is listed for it and nothing else.
 * `workflows`, `activities` and `streams` never import one another at run time.
 */
const folders = [
  'contracts',
  'features',
  'models',
  'stores',
  'streams',
  'workflows',
  'activities',
  'scoring',
  'serving',
  'workers',
  'client',
  'cli',
  'console',
  'infra',
  'testing',
  'examples',
  'bench',
  'test',
];

const mayImport = {
  contracts: [],
  features: ['contracts'],
  models: ['contracts', 'features'],
  stores: ['contracts', 'features', 'models'],
  scoring: ['contracts', 'features', 'models', 'stores'],
  streams: ['contracts', 'features', 'models', 'stores', 'scoring'],
  activities: ['contracts', 'features', 'models', 'stores', 'scoring'],
  workflows: ['contracts', 'models'],
  client: ['contracts'],
  serving: ['contracts', 'features', 'models', 'stores', 'scoring', 'client'],
  infra: ['contracts'],
  console: ['contracts', 'client'],
  cli: ['contracts', 'features', 'models', 'client', 'infra'],
  testing: ['contracts', 'features', 'models', 'stores', 'scoring', 'streams', 'activities'],
  workers: folders.filter((folder) => folder !== 'cli' && folder !== 'testing' && folder !== 'test'),
};

const rules = Object.entries(mayImport).map(([folder, allowed]) => ({
  name: `${folder}-may-import`,
  comment: `${folder} may import: ${allowed.join(', ') || 'nothing'}`,
  severity: 'error',
  from: { path: `^${folder}/` },
  to: {
    path: `^(${folders.filter((name) => name !== folder && !allowed.includes(name)).join('|')})/`,
    ...(folder === 'workflows' ? { dependencyTypesNot: ['type-only'] } : {}),
  },
}));

module.exports = {
  forbidden: [
    ...rules,
    {
      name: 'workflows-see-only-types-of-activities',
      severity: 'error',
      from: { path: '^workflows/' },
      to: { path: '^(stores|streams|scoring|features|workers|cli|infra|client|serving)/' },
    },
    {
      name: 'root-index',
      severity: 'error',
      from: { path: '^index\\.ts$' },
      to: { path: `^(${folders.filter((name) => !['features', 'models', 'contracts'].includes(name)).join('|')})/` },
    },
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'kafkajs-stays-in-its-adapter',
      severity: 'error',
      from: { pathNot: '^(stores/log|test|bench)/' },
      to: { path: 'node_modules/kafkajs' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|node_modules|\\.tidemill)' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};
