"""The first replies of a new service rest on all that was there before, also on misrouted ratings."""

import contextlib

from random_models import random_model

from streams.client import RecommendClient
from streams.errors import ReplyTimeout
from streams.messages import RecommendRequest
from streams.settings import ClientSettings
from tests.streams.brokers import eventually
from tests.streams.world import worker

MODEL = random_model(bits=64, hidden=64, n_users=20, n_items=30)
N_RATED = 25


def test_the_first_reply_rests_on_every_rating_though_all_were_misrouted(world):
    users = [f"u{n}" for n in range(20)]
    world.publish(MODEL)
    world.rate(*[(user, f"i{at}", 5.0) for at in range(N_RATED) for user in users], misroute=1)
    quick = world.settings.as_role(ClientSettings, request_timeout_s=0.5)
    with RecommendClient(quick) as client, worker(world.settings, ready=False):

        def first_reply(user):
            with contextlib.suppress(ReplyTimeout):
                return client.ask(RecommendRequest(user=user, k=30, include_rated=True))

        replies = [eventually(lambda user=user: first_reply(user), 60) for user in users]
    assert [reply.ratings for reply in replies] == [N_RATED] * len(users)
    assert {reply.strategy for reply in replies} == {"codes+rerank"}
    assert min(len(reply.items) for reply in replies) > 0
