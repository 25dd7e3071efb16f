// The two hooks of React that the documentation's example uses, for one component.

const slots = [];
let next = 0;
let draw = () => {};
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
  if (slot.dependencies?.every((one, index) => Object.is(one, dependencies[index]))) return;
  slot.dependencies = dependencies;
  queueMicrotask(() => {
    slot.cleanUp?.();
    slot.cleanUp = effect();
  });
}

/** Draw the component now, and after each change of its state. */
export function render(component) {
  draw = component;
  schedule();
}

function schedule() {
  if (isScheduled) return;
  isScheduled = true;
  queueMicrotask(() => {
    isScheduled = false;
    next = 0;
    draw();
  });
}
