// Whoever has no session is asked for the token first, and comes back to where they were.
import { Navigate, useLocation } from 'react-router';
import { Refused } from '../api/client';
import { useFailureWords } from '../use';
import { Failure, Loading } from './pieces';

/** What stands in a screen's place while what it shows is not there. */
export function NotYet({ error }: { error: Error | undefined }) {
  const words = useFailureWords();
  const { pathname } = useLocation();
  if (error === undefined) return <Loading />;
  if (error instanceof Refused && error.status === 401) {
    return <Navigate to={`/sign-in?back=${encodeURIComponent(pathname)}`} replace />;
  }
  return <Failure>{words(error)}</Failure>;
}
