/** Loading a module of the user's. */
import { isSea } from 'node:sea';
import vm from 'node:vm';

const LOAD = '(url) => import(url)';

/** The single file's own import() knows built-in modules only; Node's loader knows files (vm, importModuleDynamically). */
export const importFile: (url: string) => Promise<unknown> = isSea()
  ? new vm.Script(LOAD, {
      importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    }).runInThisContext()
  : (url) => import(url);
