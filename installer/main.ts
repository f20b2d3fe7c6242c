if (process.argv[2] === 'renewal-helper' && process.argv.length === 3) {
  // certmonger starts it often, and gives it no arguments: it is to be quick.
  const { runHelper } = await import('./renewal-helper.ts');
  process.exitCode = await runHelper(process.env);
} else {
  const { concealArguments } = await import('./arguments.ts');
  concealArguments();
  // Only now: loading the command line library takes longer than a look at the process list.
  const { runProgram } = await import('./program.ts');
  process.exitCode = await runProgram(process.argv.slice(2));
}
