export { type AnyLookup, DisjointLookup } from './disjoint-lookup.js'
export { Lookup, type LookupOptions } from './lookup.js'
export {
  type LookupOutcome,
  type LookupRun,
  type PageQuery,
  type Query,
  type QueryEvents,
  type RunLookupOptions,
  runLookup,
} from './run-lookup.js'
