// Runs bundle.js in a context that has the globals of browsers and none of Node's.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import vm from 'node:vm'

// Typed arrays come from here too, since TextEncoder and crypto make and take these ones.
const WEB_GLOBALS = [
  ...['AbortController', 'AbortSignal', 'ArrayBuffer', 'DOMException', 'DataView', 'Event', 'EventTarget'],
  ...['MessageChannel', 'TextDecoder', 'TextEncoder', 'URL', 'Uint8Array', 'clearInterval', 'clearTimeout', 'console'],
  ...['crypto', 'performance', 'queueMicrotask', 'setInterval'],
]
const NODE_GLOBALS = ['process', 'Buffer', 'global', 'require', 'module', 'setImmediate', '__dirname']

const context = vm.createContext(Object.fromEntries(WEB_GLOBALS.map((name) => [name, globalThis[name]])))
// Browsers' timers are numbers.
context.setTimeout = (callback, delayMs) => Number(setTimeout(callback, delayMs))
for (const name of NODE_GLOBALS) assert.equal(vm.runInContext(`typeof ${name}`, context), 'undefined', name)

vm.runInContext(readFileSync(new URL('bundle.js', import.meta.url), 'utf8'), context, { filename: 'bundle.js' })
assert.equal(await context.finished, 'in a browser')
