/** `npm run demo`, `npm run demo:clean`: installs and builds what is missing, then runs the compiled demo. */
import { join } from 'node:path';
import { build, installDependencies, root, run } from './prerequisites.mjs';

installDependencies();
build();
run(process.execPath, [
  '--max-old-space-size=6144',
  join(root, 'dist', 'examples', 'fraud', 'demo', 'demo.js'),
  ...process.argv.slice(2),
]);
