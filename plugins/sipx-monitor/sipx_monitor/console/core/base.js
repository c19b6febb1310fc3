/** What everything else stands on: preact with htm, signals, where the console lives, preferences. */
import {Component, Fragment, h, render} from 'preact';
import {useCallback, useContext, useEffect, useLayoutEffect, useMemo, useRef, useState}
  from 'preact/hooks';
import {batch, computed, effect, signal} from '@preact/signals';
import htm from 'htm';

export const html = htm.bind(h);
export const hooks = {
  useCallback, useContext, useEffect, useLayoutEffect, useMemo, useRef, useState,
};
export {Component, Fragment, batch, computed, effect, h, render, signal};

/** The address of the console, with the path that a reverse proxy put in front of it. */
export const root = new URL('.', document.baseURI);

/** An address of the server: `at('session')`. */
export function at(path) {
  return new URL(path, root).href;
}

const KEY = 'sipx.preferences';
const DEFAULTS = {language: '', theme: '', singleKeys: true, hints: true, keys: {}};

function stored() {
  try {
    return {...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY) ?? '{}')};
  } catch (error) {
    console.warn('The preferences of this browser cannot be read:', error);
    return {...DEFAULTS};
  }
}

/** What this browser prefers. */
export const preferences = signal(stored());

export function prefer(changes) {
  preferences.value = {...preferences.value, ...changes};
  try {
    localStorage.setItem(KEY, JSON.stringify(preferences.value));
  } catch (error) {
    console.warn('The preferences of this browser cannot be kept:', error);
  }
}

/** An error of the server or of the link, in the words that are to be shown. */
export class SipxError extends Error {
  constructor(code, message, problems = []) {
    super(message);
    this.name = 'SipxError';
    this.code = code;
    this.problems = problems;
  }
}

let last = 0;
/** An id for an element that another one refers to. */
export function useId(prefix = 'id') {
  return useMemo(() => `${prefix}-${++last}`, [prefix]);
}

/** Class names without those that do not apply. */
export function classes(...names) {
  return names.filter(Boolean).join(' ');
}

/** Whether two JSON values are the same. */
export function same(a, b) {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && same(a[key], b[key]));
}
