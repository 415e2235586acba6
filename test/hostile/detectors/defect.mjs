/** Loaded into the agent (node --import): a defect of its own, on SIGUSR2 an error that nothing catches, on SIGWINCH a rejection. */
process.on('SIGUSR2', () => {
  throw new Error('a defect');
});
process.on('SIGWINCH', () => void Promise.reject(new Error('a defect')));
