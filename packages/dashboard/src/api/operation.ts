/** What an operator can ask for from this page. */
export type Operation =
  | { readonly kind: 'switchover'; readonly to: string }
  | { readonly kind: 'failover'; readonly acceptDataLoss: boolean }
  | { readonly kind: 'add-replica' }
  | { readonly kind: 'remove-replica'; readonly id: string }
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' };

/** A request of the HTTP API. */
export interface ApiRequest {
  readonly method: 'POST' | 'DELETE';
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export function requestOf(operation: Operation): ApiRequest {
  switch (operation.kind) {
    case 'switchover':
      return { method: 'POST', path: 'switchover', body: { to: operation.to } };
    case 'failover':
      return { method: 'POST', path: 'failover', body: { acceptDataLoss: operation.acceptDataLoss } };
    case 'add-replica':
      return { method: 'POST', path: 'replicas', body: {} };
    case 'remove-replica':
      return { method: 'DELETE', path: `replicas/${encodeURIComponent(operation.id)}`, body: {} };
    case 'pause':
    case 'resume':
      return { method: 'POST', path: operation.kind, body: {} };
    default:
      return operation satisfies never;
  }
}

/** Where the API tells what an operation would do. */
export function planPathOf(operation: Operation): string {
  switch (operation.kind) {
    case 'switchover':
      return `plan?kind=switchover&member=${encodeURIComponent(operation.to)}`;
    case 'failover':
      return `plan?kind=failover&acceptDataLoss=${operation.acceptDataLoss}`;
    case 'remove-replica':
      return `plan?kind=remove-replica&member=${encodeURIComponent(operation.id)}`;
    case 'add-replica':
    case 'pause':
    case 'resume':
      return `plan?kind=${operation.kind}`;
    default:
      return operation satisfies never;
  }
}
