"""What vLLM says about a generation, as our deltas. Needs nothing of vLLM but its objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from services.cluster.errors import BadRequest, EngineUnavailable
from services.inference.engines.generation import (
    Delta,
    Finish,
    FinishReason,
    PositionLogprobs,
    TokenLogprob,
)

_REASONS = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "abort": FinishReason.ABORTED,
    "repetition": FinishReason.STOP,
}


class DeltaReader:
    """Reads the outputs of one generation in order; `num_top` alternatives are kept.

    `structure` is the field of the request that holds the answer to a form, "" for none.
    """

    def __init__(
        self,
        prompt_token_ids: Sequence[int],
        num_top: int,
        text_of: Callable[[int], str],
        structure: str = "",
    ) -> None:
        self._prompt_token_ids = prompt_token_ids
        self._num_top = num_top
        self._text_of = text_of
        self._structure = structure
        self._num_generated = 0
        self._num_cached = 0

    def read(self, output: Any) -> Delta:
        """Raises EngineUnavailable when the engine gave this generation up, and BadRequest when the
        form of the answer let no token follow: one that refers to nothing but itself does.
        """
        completion = output.outputs[0]
        token_ids = list(completion.token_ids)
        self._num_generated += len(token_ids)
        self._num_cached = output.num_cached_tokens or self._num_cached
        return Delta(
            token_ids=token_ids,
            text=completion.text,
            logprobs=positions(token_ids, completion.logprobs or (), self._num_top, self._text_of),
            prompt_logprobs=positions(
                self._prompt_token_ids, output.prompt_logprobs or (), self._num_top, self._text_of
            ),
            finish=self._finish(completion, output.metrics) if output.finished else None,
        )

    def _finish(self, completion: Any, metrics: Any) -> Finish:
        reason = _REASONS.get(completion.finish_reason)
        if reason is None and self._structure:
            raise BadRequest(
                "The engine found no text that holds to this form. Does a schema refer to itself"
                " without an end?",
                param=self._structure,
            )
        if reason is None:
            raise EngineUnavailable(
                f"The engine ended the generation with {completion.finish_reason!r}.",
                retry_after_seconds=1,
            )
        stop = completion.stop_reason
        return Finish(
            reason=reason,
            stop_string=stop if isinstance(stop, str) else "",
            num_prompt_tokens=len(self._prompt_token_ids),
            num_generated_tokens=self._num_generated,
            num_cached_tokens=self._num_cached,
            queue_seconds=max(metrics.scheduled_ts - metrics.queued_ts, 0.0) if metrics else 0.0,
        )


def positions(
    token_ids: Sequence[int],
    found: Iterable[Mapping[int, Any] | None],
    num_top: int,
    text_of: Callable[[int], str],
) -> list[PositionLogprobs]:
    """vLLM keys each position's entries by token id; the token that stands there is one of them.

    Of the first token of a prompt, which nothing predicts, it says nothing: `text_of` does.
    """
    result = []
    for token_id, entries in zip(token_ids, found, strict=False):
        if not entries:
            result.append(PositionLogprobs(TokenLogprob(token_id, text_of(token_id), None, 0)))
            continue
        ranked = sorted(entries.items(), key=lambda entry: entry[1].rank or 0)
        top = [_entry(i, e) for i, e in ranked if e.rank is not None and e.rank <= num_top]
        result.append(PositionLogprobs(_entry(token_id, entries[token_id]), top))
    return result


def _entry(token_id: int, entry: Any) -> TokenLogprob:
    return TokenLogprob(token_id, entry.decoded_token or "", entry.logprob, entry.rank or 0)
