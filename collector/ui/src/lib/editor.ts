// The filter's editor: CodeMirror with the collector's own completion, colours, and faults at their place. A chunk of
// its own, loaded behind the page.
//
// CodeMirror writes its styles into a <style> of the document, which the policy `style-src 'self'` forbids. Within a
// shadow root it uses constructed style sheets instead, which are no text of the page and therefore allowed.
import {
  acceptCompletion,
  autocompletion,
  closeCompletion,
  completionKeymap,
  completionStatus,
  selectedCompletionIndex,
  startCompletion,
  type Completion as Option,
  type CompletionContext,
  type CompletionResult,
} from '@codemirror/autocomplete';
import { history, historyKeymap, standardKeymap } from '@codemirror/commands';
import { EditorState, Prec, StateEffect, StateField, type Extension } from '@codemirror/state';
import {
  Decoration,
  EditorView,
  highlightSpecialChars,
  keymap,
  placeholder,
  ViewPlugin,
  type DecorationSet,
  type ViewUpdate,
} from '@codemirror/view';
import { tokens } from './filter';
import { THEME } from './editor-theme';
import { inert, octetAt, unitAt } from './text';
import type { Completion } from './types';

export interface Place {
  from: number;
  to: number;
}

export interface EditorPorts {
  parent: HTMLElement;
  text: string;
  placeholder: string;
  isColumn: (word: string) => boolean;
  complete: (text: string, at: number, signal: AbortSignal) => Promise<Completion>;
  /** Typed, pasted or completed. */
  onchange: (text: string) => void;
  onsubmit: () => void;
  onfocus: () => void;
  onblur: () => void;
  /** Esc with no list open. */
  onleave: () => void;
  /** The list of completions was opened or closed. */
  onlist: (open: boolean) => void;
}

export interface FilterEditor {
  text(): string;
  /** Replaces the text from outside, which is no change that somebody typed. */
  set(text: string): void;
  mark(fault: Place | null): void;
  /** Colours again, for what is a column is known only when the collector has said it. */
  recolour(): void;
  focus(selection?: 'all' | Place): void;
  destroy(): void;
}

const setFault = StateEffect.define<Place | null>();
const WRONG = Decoration.mark({ class: 'wrong' });
const MISSING = Decoration.line({ class: 'missing' });

/** The underline of what is wrong; it moves with what is typed before it, and goes when it is typed over. */
const fault = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(marks, transaction) {
    let next = marks.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (!effect.is(setFault)) continue;
      const length = transaction.newDoc.length;
      const from = Math.min(effect.value?.from ?? 0, length);
      const to = Math.min(effect.value?.to ?? 0, length);
      if (effect.value === null) next = Decoration.none;
      else next = Decoration.set(from < to ? WRONG.range(from, to) : MISSING.range(0));
    }
    return next;
  },
  provide: (field) => EditorView.decorations.from(field),
});

/** What is a column is known anew. */
const recoloured = StateEffect.define<null>();

const isSetByCode = StateEffect.define<null>();

function colours(isColumn: (word: string) => boolean): Extension {
  const decorate = (view: EditorView): DecorationSet =>
    Decoration.set(
      tokens(view.state.doc.toString())
        .filter((token) => token.kind !== 'space')
        .map((token) => {
          const tone = token.kind === 'word' && isColumn(token.text.toLowerCase()) ? 'column' : token.kind;
          return Decoration.mark({ class: tone }).range(token.at, token.at + token.text.length);
        }),
    );
  return ViewPlugin.fromClass(
    class {
      decorations: DecorationSet;
      constructor(view: EditorView) {
        this.decorations = decorate(view);
      }
      update(update: ViewUpdate): void {
        const anew = update.transactions.some(({ effects }) =>
          effects.some((effect) => effect.is(recoloured)),
        );
        if (update.docChanged || anew) this.decorations = decorate(update.view);
      }
    },
    { decorations: (plugin) => plugin.decorations },
  );
}

/** Puts in what was chosen; a value may be the end, behind everything else something has to follow. */
function insert(view: EditorView, text: string, from: number, to: number): void {
  const behind = view.state.sliceDoc(to, to + 1);
  const inserted = /\s$/.test(text) || /\s/.test(behind) ? text : `${text} `;
  view.dispatch({
    changes: { from, to, insert: inserted },
    selection: { anchor: from + inserted.length },
    userEvent: 'input.complete',
    scrollIntoView: true,
  });
  startCompletion(view);
}

function source(ports: EditorPorts) {
  return async (context: CompletionContext): Promise<CompletionResult | null> => {
    const asked = context.state.doc.toString();
    const running = new AbortController();
    context.addEventListener('abort', () => running.abort(), { onDocChange: true });
    try {
      const answer = await ports.complete(asked, octetAt(asked, context.pos), running.signal);
      const from = unitAt(asked, answer.from);
      return {
        from,
        to: Math.max(from, Math.min(unitAt(asked, answer.to), asked.length)),
        filter: false,
        options: answer.items.map((item) => ({
          label: inert(item.text.trim(), 80),
          detail: inert(item.help, 120),
          type: item.kind,
          apply: (view: EditorView, _option: Option, start: number, end: number) =>
            insert(view, item.text, start, end),
        })),
      };
    } catch {
      // Typing goes on without completion; a collector that is away is said elsewhere.
      return null;
    }
  };
}

/** Takes what is marked, or else the first of the list for what stands here by now. */
function take(ports: EditorPorts) {
  return (view: EditorView): boolean => {
    if (completionStatus(view.state) === null) return false;
    if (selectedCompletionIndex(view.state) !== null && acceptCompletion(view)) return true;
    const asked = view.state.doc.toString();
    const at = octetAt(asked, view.state.selection.main.head);
    void ports.complete(asked, at, new AbortController().signal).then(
      (answer) => {
        const [first] = answer.items;
        if (first === undefined || view.state.doc.toString() !== asked) return;
        closeCompletion(view);
        insert(view, first.text, unitAt(asked, answer.from), unitAt(asked, answer.to));
      },
      () => undefined,
    );
    return true;
  };
}

export function createEditor(ports: EditorPorts): FilterEditor {
  const root = ports.parent.attachShadow({ mode: 'open' });
  const submit = (view: EditorView): boolean => {
    closeCompletion(view);
    ports.onsubmit();
    return true;
  };
  const extensions: Extension[] = [
    EditorView.lineWrapping,
    history(),
    highlightSpecialChars(),
    placeholder(ports.placeholder),
    colours(ports.isColumn),
    fault,
    autocompletion({
      override: [source(ports)],
      activateOnTypingDelay: 60,
      interactionDelay: 0,
      selectOnOpen: false,
      icons: false,
      aboveCursor: false,
      maxRenderedOptions: 50,
      defaultKeymap: false,
    }),
    Prec.highest(
      keymap.of([
        { key: 'Tab', run: take(ports) },
        ...completionKeymap.filter(({ key }) => key !== 'Escape'),
        { key: 'Enter', run: submit, shift: submit },
        {
          key: 'Escape',
          run: (view) => {
            if (!closeCompletion(view)) ports.onleave();
            return true;
          },
        },
      ]),
    ),
    keymap.of([...standardKeymap, ...historyKeymap]),
    // Chromium keeps the looks of what is typed over in a style attribute, which the policy forbids.
    EditorView.domEventHandlers({
      beforeinput: (event, view) => {
        if (view.state.selection.main.empty || event.isComposing) return false;
        if (event.inputType !== 'insertText' || event.data === null) return false;
        view.dispatch(view.state.replaceSelection(event.data), {
          userEvent: 'input.type',
          scrollIntoView: true,
        });
        return true;
      },
    }),
    // A filter is one line, however it was broken where it comes from.
    EditorView.clipboardInputFilter.of((text) => text.replace(/[\r\n]+/g, ' ')),
    EditorView.contentAttributes.of({
      'aria-label': 'Filter',
      'aria-multiline': 'false',
      autocapitalize: 'off',
      spellcheck: 'false',
    }),
    EditorView.updateListener.of((update) => {
      if (
        update.docChanged &&
        !update.transactions.some(({ effects }) => effects.some((effect) => effect.is(isSetByCode)))
      )
        ports.onchange(update.state.doc.toString());
      const open = completionStatus(update.state) === 'active';
      if (open !== (completionStatus(update.startState) === 'active')) ports.onlist(open);
      if (update.focusChanged) {
        if (update.view.hasFocus) {
          ports.onfocus();
          if (update.state.doc.length === 0) startCompletion(update.view);
        } else {
          closeCompletion(update.view);
          ports.onblur();
        }
      }
    }),
    THEME,
  ];
  const view = new EditorView({
    state: EditorState.create({ doc: ports.text, extensions }),
    parent: root,
    root,
  });
  return {
    text: () => view.state.doc.toString(),
    set: (text) => {
      if (text === view.state.doc.toString()) return;
      view.dispatch({
        changes: { from: 0, to: view.state.doc.length, insert: text },
        selection: { anchor: text.length },
        effects: isSetByCode.of(null),
      });
    },
    mark: (place) => {
      view.contentDOM.setAttribute('aria-invalid', String(place !== null));
      view.dispatch({ effects: setFault.of(place) });
    },
    recolour: () => view.dispatch({ effects: recoloured.of(null) }),
    focus: (selection) => {
      view.focus();
      if (selection === undefined) return;
      const [anchor, head] =
        selection === 'all' ? [0, view.state.doc.length] : [selection.from, selection.to];
      view.dispatch({ selection: { anchor, head: Math.min(head, view.state.doc.length) } });
    },
    destroy: () => view.destroy(),
  };
}
