// The page's elements, made to show a state. It decides nothing: what is shown follows from the state
// alone, and what is pressed goes out through `Actions`.

import type { Advice } from './advice.ts';
import { speakerName } from './captions.ts';
import { CaptionsView } from './captions-view.ts';
import { button, get, query } from './dom.ts';
import { watchHold } from './hold.ts';
import { type Device, headline, isBusy, isOpen, type Mode, newlyFinal, type State, type ToolUse } from './state.ts';

export interface Actions {
  talk(): void;
  end(): void;
  hold(held: boolean): void;
  mute(muted: boolean): void;
  mode(mode: Mode): void;
  /** True where the message went out. */
  write(text: string): Promise<boolean>;
  hear(): void;
  retryMicrophone(): void;
  chooseMicrophone(id: string): void;
  chooseSpeaker(id: string): void;
  dismissProblem(): void;
  dismissToolErrors(): void;
}

const PHASES: Readonly<Record<State['phase'], string>> = {
  off: 'Not connected',
  connecting: 'Connecting',
  on: 'Connected',
  reconnecting: 'Reconnecting',
  waiting: 'Trying again',
};

/** So long a state must last, in ms, before a screen reader hears of it: thinking is often shorter. */
const SETTLED_MS = 700;
/** As many spoken pieces stay in the region that screen readers follow. */
const HEARD = 4;

export class View {
  private shown: State | undefined;
  private settling: number | undefined;
  private readonly captions = new CaptionsView(get('captions', HTMLOListElement), get('scroll', HTMLElement));
  private readonly talk = get('talk', HTMLButtonElement);
  private readonly hold = get('hold', HTMLButtonElement);
  private readonly mute = get('mute', HTMLButtonElement);
  private readonly message = get('message', HTMLInputElement);
  private readonly send = query('#chat button', HTMLButtonElement);
  private readonly microphone = get('microphone', HTMLSelectElement);
  private readonly speaker = get('speaker', HTMLSelectElement);
  private readonly meter = get('meter', HTMLElement);
  private readonly root = document.documentElement;

  constructor(private readonly actions: Actions) {
    this.talk.addEventListener('click', () => (this.shown && isBusy(this.shown) ? actions.end() : actions.talk()));
    this.mute.addEventListener('click', () => actions.mute(!this.shown?.muted));
    watchHold(this.hold, () => !this.hold.hidden, (held) => actions.hold(held));
    for (const radio of document.querySelectorAll<HTMLInputElement>('input[name=mode]')) {
      radio.addEventListener('change', () => actions.mode(radio.value === 'hold' ? 'hold' : 'open'));
    }
    this.microphone.addEventListener('change', () => actions.chooseMicrophone(this.microphone.value));
    this.speaker.addEventListener('change', () => actions.chooseSpeaker(this.speaker.value));
    get('speaker-field', HTMLElement).hidden = !('setSinkId' in HTMLMediaElement.prototype);
    get('chat', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      void this.submit();
    });
  }

  /** The microphone's loudness, 0 to 1. */
  showLevel(level: number): void {
    this.root.style.setProperty('--level', level.toFixed(3));
  }

  show(state: State): void {
    const before = this.shown;
    if (before === state) return;
    this.shown = state;
    this.showConnection(state, before);
    this.showControls(state, before);
    if (before?.tool !== state.tool) showTool(state.tool);
    this.showNotices(state);
    if (before?.devices !== state.devices) this.showDevices(state);
    if (before?.captions !== state.captions) {
      get('empty', HTMLElement).hidden = state.captions.length > 0;
      this.captions.show(state.captions);
    }
    if (before) this.announce(before, state);
  }

  private showConnection(state: State, before: State | undefined): void {
    const line = headline(state);
    get('headline', HTMLElement).textContent = line;
    const link = get('link', HTMLElement);
    link.textContent = PHASES[state.phase];
    this.root.dataset['phase'] = state.phase;
    this.root.dataset['agent'] = state.phase === 'on' ? state.agent : 'absent';
    const wake = get('wake', HTMLElement);
    wake.hidden = state.wake === undefined;
    wake.dataset['wake'] = state.wake ?? '';
    wake.textContent = state.wake === 'active' ? 'Awake' : 'Asleep';
    if (!before || headline(before) === line) return;
    clearTimeout(this.settling);
    this.settling = window.setTimeout(() => {
      get('status', HTMLElement).textContent = line;
    }, SETTLED_MS);
  }

  private showControls(state: State, before: State | undefined): void {
    const busy = isBusy(state);
    const speaking = state.phase === 'on' && state.microphone.is === 'on';
    this.talk.textContent = busy ? 'End' : 'Talk';
    this.talk.classList.toggle('quiet', busy);
    this.hold.hidden = !(speaking && state.mode === 'hold');
    this.hold.textContent = state.held ? 'Let go when done' : 'Hold to talk';
    this.hold.classList.toggle('held', state.held);
    this.mute.hidden = !(speaking && state.mode === 'open');
    this.mute.setAttribute('aria-pressed', String(state.muted));
    this.mute.textContent = state.muted ? 'Muted' : 'Mute';
    this.meter.hidden = !speaking;
    this.root.dataset['open'] = String(speaking && isOpen(state));
    this.message.disabled = this.send.disabled = state.phase !== 'on';
    this.message.placeholder = placeholder(state);
    for (const radio of document.querySelectorAll<HTMLInputElement>('input[name=mode]')) {
      radio.checked = radio.value === state.mode;
    }
    // Space must not end the talk it was to begin: Talk has the focus from being pressed.
    const held = before && !this.hold.hidden && (before.mode !== 'hold' || before.microphone.is !== 'on');
    if (held && document.activeElement === this.talk) this.hold.focus();
  }

  private showNotices(state: State): void {
    const region = get('notices', HTMLElement);
    const wanted = new Map(this.noticesOf(state).map((n) => [JSON.stringify([n.advice, n.act?.label, !!n.dismiss]), n]));
    // Those that stay are left alone, or screen readers would read them again and the focus would go.
    for (const there of region.querySelectorAll<HTMLElement>('.notice')) {
      if (wanted.delete(there.dataset['key'] ?? '')) continue;
      if (there.contains(document.activeElement)) this.talk.focus();
      there.remove();
    }
    for (const [key, notice] of wanted) region.append(noticeElement(key, notice));
  }

  private noticesOf(state: State): readonly Notice[] {
    const notices: Notice[] = [];
    if (state.problem) {
      const again = state.phase === 'off' && state.problem.retry === 'connection';
      notices.push({
        advice: state.problem,
        ...(again ? { act: { label: 'Try again', press: () => this.actions.talk() } } : {}),
        dismiss: () => this.actions.dismissProblem(),
      });
    }
    if (state.microphone.is === 'refused') {
      const { advice } = state.microphone;
      const again = advice.retry === 'microphone' && state.phase === 'on';
      const press = () => this.actions.retryMicrophone();
      notices.push({ advice, ...(again ? { act: { label: 'Try the microphone again', press } } : {}) });
    }
    if (state.soundBlocked) {
      const advice = { title: 'The browser holds the sound back', step: 'It plays after a press.' };
      notices.push({ advice, act: { label: 'Hear the assistant', press: () => this.actions.hear() } });
    }
    if (state.toolErrors.length > 0) {
      const advice = { title: 'Some tools are not available', step: state.toolErrors.join(' · ') };
      notices.push({ advice, dismiss: () => this.actions.dismissToolErrors() });
    }
    return notices;
  }

  private showDevices(state: State): void {
    const { microphones, speakers, microphone, speaker } = state.devices;
    fillSelect(this.microphone, microphones, microphone);
    fillSelect(this.speaker, speakers, speaker);
  }

  /** What was said, once it is final: partial text would drown everything else. */
  private announce(before: State, state: State): void {
    const region = get('heard', HTMLElement);
    for (const caption of newlyFinal(before, state)) {
      const line = document.createElement('p');
      line.textContent = `${speakerName(caption)}: ${caption.text}`;
      region.append(line);
    }
    while (region.childElementCount > HEARD) region.firstElementChild?.remove();
  }

  private async submit(): Promise<void> {
    const text = this.message.value.trim();
    if (text === '') return;
    this.message.value = '';
    if (await this.actions.write(text)) return;
    // Nothing typed is lost to a connection that broke just now.
    if (this.message.value === '') this.message.value = text;
  }
}

function placeholder(state: State): string {
  if (state.phase === 'on') return 'Type a message';
  return isBusy(state) ? 'Not connected now' : 'Press Talk, then type';
}

/** Something that the person should know, with what can be pressed about it. */
interface Notice {
  advice: Advice;
  act?: { label: string; press: () => void };
  dismiss?: () => void;
}

function noticeElement(key: string, { advice, act, dismiss }: Notice): HTMLElement {
  const notice = document.createElement('section');
  notice.className = 'notice';
  notice.dataset['key'] = key;
  notice.setAttribute('role', 'alert');
  const title = document.createElement('strong');
  title.textContent = advice.title;
  const step = document.createElement('p');
  step.textContent = advice.step;
  notice.append(title, step);
  if (act) notice.append(button(act.label, act.press));
  if (dismiss) {
    const close = button('Close', dismiss);
    close.className = 'plain';
    close.setAttribute('aria-label', `Close: ${advice.title}`);
    notice.append(close);
  }
  return notice;
}

function showTool(tool: ToolUse | undefined): void {
  const details = get('tool', HTMLDetailsElement);
  details.hidden = tool === undefined;
  if (!tool) return;
  query('#tool summary', HTMLElement).textContent = `Used ${tool.names.join(', ')}`;
  const lines = tool.names.flatMap((name, i) => {
    const term = document.createElement('dt');
    term.textContent = name;
    const given = document.createElement('dd');
    const params = Object.entries(tool.params[i] ?? {}).map(([key, value]) =>
      `${key}: ${typeof value === 'string' ? value : JSON.stringify(value)}`,
    );
    given.textContent = params.join(', ') || 'nothing given';
    return [term, given];
  });
  query('#tool dl', HTMLElement).replaceChildren(...lines);
}

function fillSelect(select: HTMLSelectElement, devices: readonly Device[], chosen: string): void {
  const system = new Option('As the system has it', '');
  select.replaceChildren(system, ...devices.map((d) => new Option(d.label, d.id)));
  select.value = devices.some((d) => d.id === chosen) ? chosen : '';
}
