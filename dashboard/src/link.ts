// The address that signs in by itself: `/sign-in?back=…#token=…`. A fragment is sent to no server.

/** The token in an address's fragment, if there is one. */
export function tokenIn(hash: string): string | undefined {
  const token = new URLSearchParams(hash.replace(/^#/, '')).get('token')?.trim();
  return token === '' ? undefined : token;
}
