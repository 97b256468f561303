// The dashboard begins.
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app';
import { startLanguages } from './i18n';
import './styles/index.css';
import { keptTheme, showTheme } from './theme';

startLanguages();
showTheme(keptTheme());

const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
