"""Sending to many clients: each has the newest message of each kind, never a growing queue."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final, Protocol, TypeAlias

from engineio import packet as engineio_packet

from conductor_actors.dashboard.access.auth import Caller
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.realtime.connections import Connection
from conductor_actors.dashboard.scores.session_overview import SessionOverview
from conductor_actors.dashboard.session_access import SessionAccess
from conductor_actors.domain.identity import SessionKey

MAX_SUBSCRIPTIONS: Final = 100  # of one client, to scores, and as many to conductors
NO_HISTORY: Final = ("", 0.0)

# A kind of message, and the session it is about: a newer message replaces one that waits.
Slot: TypeAlias = tuple[str, str]
_SESSIONS_SLOT: Final[Slot] = ("sessions", "")


class Sendable(Protocol):
    """A message that is encoded when it is sent."""

    def packet(self, namespace: str) -> engineio_packet.Packet:
        """Return the packet for a namespace."""


class Message:
    """An event whose packet is encoded once for all clients."""

    def __init__(self, event: str, body: bytes) -> None:
        self._text = f'["{event}",{body.decode()}]'
        self._packets: dict[str, engineio_packet.Packet] = {}

    def packet(self, namespace: str) -> engineio_packet.Packet:
        """Return the packet for a namespace."""
        packet = self._packets.get(namespace)
        if packet is None:
            head = "2" if namespace == "/" else f"2{namespace},"
            packet = engineio_packet.Packet(engineio_packet.MESSAGE, head + self._text)
            self._packets[namespace] = packet
        return packet


class _ChangedSessions:
    """A `sessions:update` that waits: only ids are stored, and their newest updates are sent."""

    def __init__(self, overview: SessionOverview, tenant: str, ids: Iterable[str]) -> None:
        self._overview = overview
        self._tenant = tenant
        self.ids = set(ids)

    def packet(self, namespace: str) -> engineio_packet.Packet:
        """Return the packet with the updates that are the newest now."""
        body = self._overview.body(self._tenant, self.ids)
        return Message("sessions:update", body).packet(namespace)


class Client:
    """A caller that is connected to a namespace."""

    def __init__(self, sid: str, namespace: str, connection: Connection, caller: Caller) -> None:
        self.sid = sid
        self.namespace = namespace
        self.connection = connection
        self.caller = caller
        self.sessions: set[str] = set()
        self.agents: set[str] = set()  # sessions of which it gets what the conductor does
        self.query_history = NO_HISTORY  # the session that the URL names, and when it was sent
        self._waiting: dict[Slot, Sendable] = {}

    @property
    def is_behind(self) -> bool:
        """Whether messages wait because the client reads too slowly."""
        return bool(self._waiting)

    @property
    def can_send(self) -> bool:
        """Whether a message would be sent at once."""
        return not self._waiting and self.connection.has_room()

    def send_or_wait(self, slot: Slot, message: Sendable) -> bool:
        """Send a message, or put it in its slot; return False if it replaced one there."""
        if self.can_send:
            self.connection.put(message.packet(self.namespace))
            return True
        is_first = slot not in self._waiting
        self._waiting[slot] = message
        return is_first

    def waiting(self, slot: Slot) -> Sendable | None:
        """Return the message that waits in a slot."""
        return self._waiting.get(slot)

    def drop(self, session_id: str) -> None:
        """Drop the messages that wait about a session."""
        kept = {slot: one for slot, one in self._waiting.items() if slot[1] != session_id}
        self._waiting = kept

    def flush(self) -> None:
        """Send the waiting messages if the client has caught up."""
        if self.connection.has_room():
            for message in self._waiting.values():
                self.connection.put(message.packet(self.namespace))
            self._waiting.clear()


_Subscribers: TypeAlias = dict[SessionKey, dict[Client, None]]


class Broadcast:
    """All clients with their subscriptions. A watcher subscribes to its tenant's sessions."""

    def __init__(
        self, overview: SessionOverview, access: SessionAccess, metrics: DashboardMetrics
    ) -> None:
        self._overview = overview
        self._access = access
        self._metrics = metrics
        self._clients: dict[tuple[str, str], Client] = {}
        self._tenants: Counter[str] = Counter()
        self._subscribers: dict[SessionKey, dict[Client, None]] = {}
        self._agent_subscribers: dict[SessionKey, dict[Client, None]] = {}
        self._watchers: defaultdict[str, dict[Client, None]] = defaultdict(dict)
        self._behind: dict[Client, None] = {}

    def __len__(self) -> int:
        return len(self._clients)

    def clients(self) -> list[Client]:
        """Return every client."""
        return list(self._clients.values())

    def get(self, sid: str, namespace: str) -> Client | None:
        """Return a client if it is connected."""
        return self._clients.get((sid, namespace))

    def count_clients(self, tenant: str) -> int:
        """Return the number of a tenant's clients."""
        return self._tenants[tenant]

    def add(self, client: Client) -> None:
        """Add a client."""
        self._clients[client.sid, client.namespace] = client
        self._tenants[client.caller.tenant] += 1

    def remove(self, client: Client) -> None:
        """Remove a client and all of its subscriptions."""
        for session_id in list(client.sessions):
            self.unsubscribe(client, session_id)
        for session_id in list(client.agents):
            self.unsubscribe_agent(client, session_id)
        self.unwatch(client)
        self._behind.pop(client, None)
        if self._clients.pop((client.sid, client.namespace), None) is not None:
            self._tenants -= Counter({client.caller.tenant: 1})  # drops the tenant at zero

    def subscribe(self, client: Client, session_id: str) -> bool:
        """Subscribe a client to a session; return False if it has too many subscriptions."""
        return self._subscribe(client, session_id, client.sessions, self._subscribers)

    def subscribe_agent(self, client: Client, session_id: str) -> bool:
        """Subscribe a client to what the conductor does in a session, as `subscribe` does."""
        return self._subscribe(client, session_id, client.agents, self._agent_subscribers)

    def unsubscribe(self, client: Client, session_id: str) -> None:
        """Unsubscribe a client from a session."""
        self._unsubscribe(client, session_id, client.sessions, self._subscribers)

    def unsubscribe_agent(self, client: Client, session_id: str) -> None:
        """Undo `subscribe_agent`."""
        self._unsubscribe(client, session_id, client.agents, self._agent_subscribers)

    def subscribed_sessions(self) -> list[SessionKey]:
        """Return the sessions that have a subscriber."""
        return list(self._subscribers)

    def subscribers(self, key: SessionKey) -> list[Client]:
        """Return the subscribers of a session."""
        return list(self._subscribers.get(key, ()))

    def agent_subscribers(self, key: SessionKey) -> list[Client]:
        """Return the clients that get what the conductor of a session does."""
        return list(self._subscribers.get(key, {}) | self._agent_subscribers.get(key, {}))

    def agent_subscribed_sessions(self) -> list[SessionKey]:
        """Return the sessions of which a client gets what the conductor does."""
        return list(self._subscribers | self._agent_subscribers)

    def send_to_subscribers(self, key: SessionKey, kind: str, event: str, body: bytes) -> None:
        """Send a message to a session's subscribers; it replaces a waiting one of its kind."""
        if subscribers := self._subscribers.get(key):
            self._send_to_all(subscribers, key, kind, Message(event, body))

    def send_to_agent_subscribers(
        self, key: SessionKey, kind: str, event: str, body: bytes
    ) -> None:
        """Send what the conductor does to a session's subscribers, as `send_to_subscribers`."""
        if subscribers := self.agent_subscribers(key):
            self._send_to_all(subscribers, key, kind, Message(event, body))

    def _send_to_all(
        self, subscribers: Iterable[Client], key: SessionKey, kind: str, message: Message
    ) -> None:
        slot = (kind, key.session_id)
        for client in subscribers:
            self.send(client, slot, message)

    def watch(self, client: Client) -> None:
        """Subscribe a client to its tenant's sessions: all of them now, then those that change."""
        watchers = self._watchers[client.caller.tenant]
        if client not in watchers:
            watchers[client] = None
            client.connection.subscriptions += 1
        self._send_sessions(client, self._visible(client, self._overview.ids(client.caller.tenant)))

    def unwatch(self, client: Client) -> None:
        """Unsubscribe a client from its tenant's sessions."""
        if client in self._watchers.get(client.caller.tenant, ()):
            del self._watchers[client.caller.tenant][client]
            client.connection.subscriptions -= 1
            client.drop(_SESSIONS_SLOT[1])

    def has_watchers(self, tenant: str) -> bool:
        """Check whether a client is subscribed to the sessions of a tenant."""
        return bool(self._watchers.get(tenant))

    def send_to_watchers(self, tenant: str, changed: set[str]) -> None:
        """Send the live sessions that changed to the tenant's watchers, in one message."""
        watchers, live = self._watchers.get(tenant), changed & self._overview.ids(tenant)
        if not watchers or not live:
            return
        to_all = Message("sessions:update", self._overview.body(tenant, live))
        for client in watchers:
            if client.caller.sees_all and client.can_send:
                self.send(client, _SESSIONS_SLOT, to_all)
            elif ids := self._visible(client, live):
                self._send_sessions(client, ids)

    def send(self, client: Client, slot: Slot, message: Sendable) -> None:
        """Send a message now, or as soon as the client has caught up."""
        self._metrics.messages_sent.inc()
        if not client.send_or_wait(slot, message):
            self._metrics.messages_replaced.inc()
        if client.is_behind:
            self._behind[client] = None

    def flush(self) -> None:
        """Send the waiting messages of the clients that have caught up."""
        for client in list(self._behind):
            client.flush()
            if not client.is_behind:
                del self._behind[client]

    def _subscribe(
        self, client: Client, session_id: str, own: set[str], subscribers: _Subscribers
    ) -> bool:
        if session_id not in own:
            if len(own) >= MAX_SUBSCRIPTIONS:
                return False
            own.add(session_id)
            client.connection.subscriptions += 1
            self._metrics.subscriptions.inc()
        key = SessionKey(client.caller.tenant, session_id)
        subscribers.setdefault(key, {})[client] = None
        return True

    def _unsubscribe(
        self, client: Client, session_id: str, own: set[str], subscribers: _Subscribers
    ) -> None:
        if session_id not in own:
            return
        own.discard(session_id)
        client.connection.subscriptions -= 1
        self._metrics.subscriptions.dec()
        if session_id not in client.sessions | client.agents:
            client.drop(session_id)
        key = SessionKey(client.caller.tenant, session_id)
        subscribers[key].pop(client, None)
        if not subscribers[key]:
            del subscribers[key]

    def _send_sessions(self, client: Client, ids: set[str]) -> None:
        waiting = client.waiting(_SESSIONS_SLOT)
        if isinstance(waiting, _ChangedSessions):
            ids = ids | waiting.ids
        changed = _ChangedSessions(self._overview, client.caller.tenant, ids)
        self.send(client, _SESSIONS_SLOT, changed)

    def _visible(self, client: Client, ids: set[str]) -> set[str]:
        allowed = self._access.visible_live(client.caller)
        return ids if allowed is None else ids & allowed
