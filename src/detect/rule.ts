/** A built-in rule: a detector whose name, severity, text and settings stand in tables/detections.ts. */
import { RULES, type RuleName, type SettingsOf } from '../tables/detections.ts';
import type { Detector, DetectorContext, DetectorEvent, InitContext, Outcome } from './detector.ts';

interface RuleCode<Name extends RuleName, State> {
  readonly needs?: Detector['needs'];
  init(context: InitContext, settings: SettingsOf<Name>): State;
  onEvent(event: DetectorEvent, context: DetectorContext<State>): Outcome;
}

export function rule<Name extends RuleName, State>(name: Name, code: RuleCode<Name, State>): Detector<State> {
  const { severity, description, settings } = RULES[name];
  return {
    name,
    severity,
    describe: description,
    settings,
    ...(code.needs === undefined ? {} : { needs: code.needs }),
    // The settings were read by the very definitions that the type is made of.
    init: (context) => code.init(context, context.settings as SettingsOf<Name>),
    onEvent: code.onEvent,
  };
}
