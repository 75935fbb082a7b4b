export type { TableEntry } from './entry.js'
export { RoutingTable, type RoutingTableOptions } from './routing-table.js'
