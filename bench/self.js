// @ts-check
// The package itself, for benches in folders with a package.json of their own, where its name means nothing.
export { createDht, MemoryStore } from 'xorbit'
export { udp } from 'xorbit/udp'
