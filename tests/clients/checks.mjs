// One line of output a check, and an exit code that tells whether all of them held. `HR_NODE_MODULES` names the
// folder that prepare.sh installed the SDKs into.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';

const installed = createRequire(`${process.env.HR_NODE_MODULES}/`);

/** A package from the folder of the SDKs. */
export const load = (name) => import(pathToFileURL(installed.resolve(name)).href);

const checks = [];

/** Registers a check of these scenes. */
export const check = (name, scenes, run) => checks.push({ name, scenes, run });

/** The error that a promise ends in, which is exactly of this kind. */
export async function refused(kind, promise) {
  try {
    await promise;
  } catch (error) {
    assert.equal(error.constructor.name, kind.name, String(error));
    return error;
  }
  return assert.fail(`no ${kind.name}`);
}

/** Runs the checks of a scene in their order and leaves with 0 if there were some and all of them held. */
export async function run(scene) {
  const chosen = checks.filter(({ scenes }) => scenes.includes(scene));
  let failed = chosen.length === 0 ? 1 : 0;
  for (const { name, run } of chosen) {
    try {
      await run();
      console.log(`ok      ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${name}\n${inspect(error, { depth: 6 })}`);
    }
  }
  // Keep-alive connections would hold the process open for a while.
  process.exit(failed ? 1 : 0);
}
