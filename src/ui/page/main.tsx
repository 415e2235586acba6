/** The page begins here. */
import { render } from 'preact';
import 'uplot/dist/uPlot.min.css';
import './style/base.css';
import './style/frame.css';
import './style/timeline.css';
import './style/rows.css';
import './style/cards.css';
import './style/flow.css';
import './style/panel.css';
import './style/findings.css';
import './style/login.css';
import './style/narrow.css';
import { App } from './app.tsx';
import { parsePlace, place } from './place.ts';
import { takeToken } from './token.ts';

takeToken();
// The address was read when its module was loaded, with the token in it.
place.value = parsePlace(location.hash);
// An address with another token, pasted into this tab.
window.addEventListener('hashchange', () => {
  if (/[#&?]token=/.test(location.hash)) location.reload();
});
const root = document.getElementById('app');
if (root !== null) render(<App />, root);
