/** No token, or that of an agent that is gone. */
import { useSignal } from '@preact/signals';
import { follow } from './live.ts';
import { filter } from './place.ts';
import { access, hasToken, setToken, tokenOf } from './token.ts';

export function Login() {
  const text = useSignal('');
  const isWrong = useSignal(false);
  const submit = (event: Event) => {
    event.preventDefault();
    const token = tokenOf(text.value);
    isWrong.value = token === undefined;
    if (token === undefined) return;
    setToken(token);
    access.value = 'unknown';
    follow(filter.value);
  };
  return (
    <main class="login">
      <form onSubmit={submit}>
        <h1>whodns</h1>
        <p role="status">
          {hasToken()
            ? 'The agent does not take the token of this page: each start has a new one.'
            : 'This page needs the token of the agent.'}
        </p>
        <p>
          The agent prints the address with the token when it starts; <code>whodns ui</code> prints it again.
        </p>
        <label for="token">Address or token</label>
        <input
          id="token"
          type="password"
          autocomplete="off"
          aria-invalid={isWrong.value}
          value={text.value}
          onInput={(event) => {
            text.value = event.currentTarget.value;
          }}
        />
        {isWrong.value && (
          <p class="problem" role="alert">
            That is neither an address with a token nor a token.
          </p>
        )}
        <button type="submit">Look</button>
      </form>
    </main>
  );
}
