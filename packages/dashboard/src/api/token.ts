const KEY = 'understudy.token';

/** The operator's token, for as long as the tab is open; null: this page may only look. */
export function storedToken(): string | null {
  return sessionStorage.getItem(KEY);
}

export function storeToken(token: string | null): void {
  if (token === null) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, token);
}

/** Takes the token out of the address (`#token=…`), so that it is neither seen nor kept in the history nor copied with a link. */
export function takeTokenFromAddress(): string | null {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token === null || token === '') return null;
  history.replaceState(null, '', location.pathname + location.search);
  storeToken(token);
  return token;
}
