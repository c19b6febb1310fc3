/** Hooks for what the server says: a topic as it changes, a call as it is asked. */
import {hooks} from './base.js';
import {call, link, subscribe} from './link.js';

const {useCallback, useEffect, useRef, useState} = hooks;

/** The state of a topic: {state, error, stale}. `stale` while the link is lost. */
export function useTopic(topic, params = {}) {
  const key = JSON.stringify(params);
  const [found, setFound] = useState({key: '', state: null, error: null});
  useEffect(() => {
    setFound((before) => (before.key === topic + key ? before : {key: topic + key, state: null, error: null}));
    return subscribe(topic, JSON.parse(key), (message) => {
      setFound({key: topic + key, state: message.state ?? null, error: null});
    }, {onError: (error) => setFound((before) => ({...before, error}))});
  }, [topic, key]);
  return {state: found.state, error: found.error, stale: link.value !== 'up'};
}

/**
 * A call: {data, error, loading, reload}. Asked again when `deps` change, each `every` seconds,
 * and when the link has come back after an error. `method` null asks nothing.
 */
export function useCall(method, params = {}, {every = 0, deps = []} = {}) {
  const key = JSON.stringify(params);
  const [found, setFound] = useState({data: null, error: null, loading: method !== null});
  const turn = useRef(0);
  const up = link.value === 'up';
  const reload = useCallback(async () => {
    if (method === null) return undefined;
    const mine = ++turn.current;
    setFound((before) => ({...before, loading: true}));
    try {
      const data = await call(method, JSON.parse(key));
      if (mine === turn.current) setFound({data, error: null, loading: false});
      return data;
    } catch (error) {
      if (mine === turn.current) setFound((before) => ({data: before.data, error, loading: false}));
      return undefined;
    }
  }, [method, key]);
  useEffect(() => {
    void reload();
    return () => { turn.current += 1; };
  }, [reload, ...deps]);
  useEffect(() => {
    if (up && found.error?.code === 'link') void reload();
  }, [up]);
  useEffect(() => {
    if (!every) return undefined;
    const clock = setInterval(() => { if (!document.hidden && link.value === 'up') void reload(); }, every * 1000);
    return () => clearInterval(clock);
  }, [reload, every]);
  return {...found, reload};
}

/** Now, in seconds since 1970, anew each `every` seconds. */
export function useNow(every = 1) {
  const [now, setNow] = useState(Date.now() / 1000);
  useEffect(() => {
    const clock = setInterval(() => setNow(Date.now() / 1000), every * 1000);
    return () => clearInterval(clock);
  }, [every]);
  return now;
}
