// The two React hooks that the documentation uses, for a single component.

const slots = [];
let next = 0;
let renderComponent = () => {};
let isScheduled = false;

export function useState(initial) {
  const slot = (slots[next++] ??= { value: initial });
  const set = (value) => {
    slot.value = value;
    schedule();
  };
  return [slot.value, (slot.set ??= set)];
}

export function useEffect(effect, dependencies) {
  const slot = (slots[next++] ??= {});
  if (slot.dependencies?.every((value, index) => Object.is(value, dependencies[index]))) return;
  slot.dependencies = dependencies;
  queueMicrotask(() => {
    slot.cleanUp?.();
    slot.cleanUp = effect();
  });
}

/** Render the component now, and after each change of its state. */
export function render(component) {
  renderComponent = component;
  schedule();
}

function schedule() {
  if (isScheduled) return;
  isScheduled = true;
  queueMicrotask(() => {
    isScheduled = false;
    next = 0;
    renderComponent();
  });
}
