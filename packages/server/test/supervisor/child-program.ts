/** A child for the tests of Child: does what it is told over its link. */
process.on('message', (said: { kind: string; bytes?: number }) => {
  switch (said.kind) {
    case 'talk':
      process.stdout.write('x'.repeat(said.bytes ?? 0));
      process.send?.('talked');
      return;
    case 'crash':
      process.exit(3);
      return;
    case 'end':
      process.disconnect();
      return;
    default:
  }
});
process.once('disconnect', () => process.exit(0));
process.send?.('up');
