import { concealArguments } from './arguments.ts';

concealArguments();
// Only now: loading the command line library takes longer than a look at the process list.
const { runProgram } = await import('./program.ts');
process.exitCode = await runProgram(process.argv.slice(2));
