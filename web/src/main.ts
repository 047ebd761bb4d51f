// The page put together: state, view, call, meter and the browser's devices. Nothing is decided here
// that could be decided in state.ts.

import { ask, isRecord } from './api.ts';
import { Call, impossible } from './call.ts';
import { keepChoices, loadChoices } from './choices.ts';
import { listDevices } from './devices.ts';
import { Events } from './events.ts';
import { LogView } from './log/view.ts';
import { logIn } from './login.ts';
import { Meter } from './meter.ts';
import { Desk } from './settings/desk.ts';
import { Models } from './settings/models-view.ts';
import { SettingsView } from './settings/view.ts';
import { SetupView } from './setup/view.ts';
import { after, type Event, INITIAL, isBusy, isOpen, type State } from './state.ts';
import { loadTheme, showTheme } from './theme.ts';
import { View } from './view.ts';
import { viewOf, Views } from './views.ts';

showTheme(loadTheme());
const kept = loadChoices();
let state: State = {
  ...INITIAL,
  mode: kept.mode,
  devices: { ...INITIAL.devices, microphone: kept.microphone, speaker: kept.speaker },
};
let typed = 0;

const view = new View({
  talk: () => void call.start(),
  end: () => void call.stop(),
  hold: (held) => tell({ type: 'held', held }),
  mute: (muted) => tell({ type: 'muted', muted }),
  mode: (mode) => {
    tell({ type: 'mode', mode });
    keep();
  },
  write: async (text) => {
    const sent = await call.write(text);
    if (sent) {
      const key = `typed ${++typed}`;
      tell({ type: 'caption', caption: { key, speaker: 'you', text, final: true, typed: true, stream: 0 } });
    }
    return sent;
  },
  hear: () => void call.hear(),
  retryMicrophone: () => void call.retryMicrophone(),
  chooseMicrophone: (microphone) => {
    tell({ type: 'devices', devices: { microphone } });
    keep();
    void call.useMicrophone(microphone);
  },
  chooseSpeaker: (speaker) => {
    tell({ type: 'devices', devices: { speaker } });
    keep();
    void call.useSpeaker(speaker);
  },
  dismissProblem: () => tell({ type: 'problem', problem: undefined }),
  dismissToolErrors: () => tell({ type: 'tool-errors-read' }),
});

const meter = new Meter((level) => view.showLevel(level));

const call = new Call(
  {
    event: tell,
    microphone: (track) => {
      meter.follow(track);
      if (track) void refreshDevices(); // only now does the browser tell their names
    },
  },
  { microphone: kept.microphone, speaker: kept.speaker },
);

function tell(event: Event): void {
  const before = state;
  state = after(state, event);
  if (isOpen(before) !== isOpen(state)) call.setOpen(isOpen(state), event.type === 'held' ? 'after the tail' : 'now');
  view.show(state);
}

function keep(): void {
  keepChoices({ mode: state.mode, microphone: state.devices.microphone, speaker: state.devices.speaker });
}

async function refreshDevices(): Promise<void> {
  tell({ type: 'devices', devices: await listDevices() });
}

call.setOpen(isOpen(state));
view.show(state);
const without = impossible();
if (without) tell({ type: 'microphone', microphone: { is: 'refused', advice: without } });
void refreshDevices();
navigator.mediaDevices?.addEventListener('devicechange', () => void refreshDevices());
void logIn();

const desk = new Desk();
const events = new Events();
const models = new Models(desk, events);
const microphone = () => state.devices.microphone;
const views = new Views({
  log: new LogView(events),
  settings: new SettingsView(desk, models, events, microphone),
  setup: new SetupView(desk, models, events, microphone, () => views.go('talk')),
});
views.begin('talk');

/** Brings who comes for the first time to the wizard; not out of a conversation, nor from where a link led. */
async function welcome(): Promise<void> {
  if (viewOf(location.hash) !== undefined) return;
  const { body } = await ask('/api/setup/status');
  const first = isRecord(body) && body['completed'] === false;
  if (first && viewOf(location.hash) === undefined && !isBusy(state)) views.go('setup');
}
void welcome();
