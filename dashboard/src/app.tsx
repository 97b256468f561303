// Which screen is at which address.
import { createBrowserRouter, Navigate, RouterProvider } from 'react-router';
import { Clients } from './screens/clients';
import { CompareAcross, CompareHere } from './screens/compare';
import { Data } from './screens/data';
import { Federation } from './screens/federation';
import { Federations } from './screens/federations';
import { Job } from './screens/job';
import { Jobs } from './screens/jobs';
import { Journal } from './screens/journal';
import { Models } from './screens/models';
import { Missing } from './screens/missing';
import { Overview } from './screens/overview';
import { Round } from './screens/round';
import { SignIn } from './screens/sign-in';
import { System } from './screens/system';
import { Version } from './screens/version';

const router = createBrowserRouter([
  { path: '/', element: <Navigate to="/federations" replace /> },
  { path: '/sign-in', element: <SignIn /> },
  { path: '/federations', element: <Federations /> },
  { path: '/compare', element: <CompareAcross /> },
  {
    path: '/federations/:federation',
    element: <Federation />,
    children: [
      { index: true, element: <Overview /> },
      { path: 'clients', element: <Clients /> },
      { path: 'data', element: <Data /> },
      { path: 'jobs', element: <Jobs /> },
      { path: 'jobs/:job', element: <Job /> },
      { path: 'compare', element: <CompareHere /> },
      { path: 'rounds/:round', element: <Round /> },
      { path: 'models', element: <Models /> },
      { path: 'models/:version', element: <Version /> },
      { path: 'journal', element: <Journal /> },
      { path: 'system', element: <System /> },
      { path: '*', element: <Missing /> },
    ],
  },
  { path: '*', element: <Missing /> },
]);

export function App() {
  return <RouterProvider router={router} />;
}
