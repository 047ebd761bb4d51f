// What went wrong, in words for the person, with the next step. Pure: from the names and numbers that
// browser, server and livekit-client give.

export interface Advice {
  title: string;
  /** The next step, in one or two sentences. */
  step: string;
  /** What can be pressed to go on. */
  retry?: 'microphone' | 'connection';
}

/** What of the page's surroundings decides whether there can be a microphone. */
export interface Surroundings {
  /** `isSecureContext`: https, or this machine. */
  secure: boolean;
  /** Whether the browser has `getUserMedia` at all. */
  capable: boolean;
  host: string;
}

/** Why there cannot be a microphone at all, before asking for one. */
export function withoutMicrophone(around: Surroundings): Advice | undefined {
  if (!around.secure) {
    return {
      title: 'No microphone over plain http',
      step:
        `Browsers give it to pages opened by https or on the machine itself, and this one came by http from ${around.host}. ` +
        'With Tailscale on the server, "tailscale serve --bg 8889" there gives an https address to open. Until then you can type.',
    };
  }
  if (!around.capable) {
    return {
      title: 'This browser cannot record sound here',
      step: 'Open the page in a current Firefox, Chrome, Edge or Safari, not inside another app. You can type meanwhile.',
    };
  }
  return undefined;
}

/** Why the browser gave no microphone, from the name of its error. */
export function microphoneRefused(errorName: string): Advice {
  switch (errorName) {
    case 'NotAllowedError':
    case 'PermissionDeniedError':
    case 'SecurityError':
      return {
        title: 'The microphone is not allowed',
        step: 'Allow it for this page (the sign left of the address; on a phone also in the settings of the browser app), then try again. You can type meanwhile.',
        retry: 'microphone',
      };
    case 'NotFoundError':
    case 'DevicesNotFoundError':
    case 'OverconstrainedError':
      return {
        title: 'No microphone was found',
        step: 'Connect one, or choose another under Sound, then try again. You can type meanwhile.',
        retry: 'microphone',
      };
    case 'NotReadableError':
    case 'TrackStartError':
    case 'AbortError':
      return {
        title: 'The microphone is busy',
        step: 'Another program may be using it: close that one, or choose another microphone under Sound, then try again.',
        retry: 'microphone',
      };
    default:
      return {
        title: 'The microphone could not be opened',
        step: `The browser says: ${errorName || 'nothing about the reason'}. Try again, or choose another under Sound.`,
        retry: 'microphone',
      };
  }
}

export const MICROPHONE_LOST: Advice = {
  title: 'The microphone was disconnected',
  step: 'Connect it again or choose another under Sound, then try again.',
  retry: 'microphone',
};

/** What the server said instead of a token. */
export interface NoToken {
  /** The status of its answer; 0 where there was none. */
  status: number;
  /** Its own words, where it gave any. */
  detail?: string;
  /** It is still loading its models. */
  loading?: boolean;
}

export function noToken({ status, detail, loading }: NoToken): Advice {
  const retry = 'connection';
  if (status === 0) {
    return {
      title: 'CAAL does not answer',
      step: 'Is "caal serve" still running, and is this device in the same network?',
      retry,
    };
  }
  if (loading) {
    return { title: 'CAAL is still loading its models', step: 'This takes some seconds; it goes on by itself.', retry };
  }
  const said = detail ? `It says: ${detail}.` : `It answered ${status}; its log says why.`;
  if (status === 401 || status === 403) return { title: 'CAAL does not let this page in', step: said, retry };
  if (status === 404) {
    return {
      title: 'This server has no room to talk in',
      step: 'It knows no /api/connection-details: it may be older than this page. Reload the page.',
      retry,
    };
  }
  return { title: 'CAAL could not open a conversation', step: `${said} "caal doctor" shows what is missing.`, retry };
}

/** The address that the server named cannot be used from this page; `undefined` where it can. */
export function mixedContent(pageProtocol: string, serverUrl: string): Advice | undefined {
  if (pageProtocol !== 'https:' || !serverUrl.startsWith('ws:')) return undefined;
  return {
    title: 'The conversation needs https as well',
    step: `This page came by https, but the server names ${serverUrl}, which browsers then forbid. The room needs a wss:// address, too; until then, open the page by http on the machine itself.`,
    retry: 'connection',
  };
}

/** The room could not be joined: `reason` is livekit-client's name of it. */
export function noRoom(reason: string, serverUrl: string): Advice {
  const retry = 'connection';
  if (reason === 'NotAllowed') {
    return {
      title: 'The room did not let you in',
      step: 'The token was refused: the keys of CAAL and of the room server must be the same, and their clocks must agree.',
      retry,
    };
  }
  return {
    title: 'The room could not be reached',
    step: `Nothing came back from ${serverUrl}. A firewall may be in between, for that port or for the sound's: UDP 7882 and TCP 7881, where they were not set otherwise.`,
    retry,
  };
}

/** The connection ended and no new one is tried: `reason` is livekit-client's name of it. */
export function left(reason: string): Advice | undefined {
  switch (reason) {
    case 'CLIENT_INITIATED':
      return undefined;
    case 'DUPLICATE_IDENTITY':
      return {
        title: 'The conversation goes on elsewhere',
        step: 'The same person joined from another page or device. Press Talk to take it back.',
      };
    case 'PARTICIPANT_REMOVED':
    case 'ROOM_DELETED':
    case 'ROOM_CLOSED':
      return { title: 'The server ended the conversation', step: 'Press Talk to begin a new one.' };
    default:
      return { title: 'The connection was lost', step: 'A new one is tried by itself.', retry: 'connection' };
  }
}

/** Whether a new connection is tried after one that ended for `reason`. */
export function comesBack(reason: string): boolean {
  return !['CLIENT_INITIATED', 'DUPLICATE_IDENTITY', 'PARTICIPANT_REMOVED', 'ROOM_DELETED', 'ROOM_CLOSED'].includes(
    reason,
  );
}

/** The pause before the given try (from 0) at a new connection, in ms: 1, 2, 4, 8, then 15 s. */
export function pauseBefore(attempt: number): number {
  return Math.min(15_000, 1000 * 2 ** Math.min(attempt, 10));
}
