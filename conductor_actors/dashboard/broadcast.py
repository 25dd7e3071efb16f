"""Who is told what: each client has the newest message of each kind, never a growing queue."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final, Protocol, TypeAlias

from engineio import packet as engineio_packet

from conductor_actors.dashboard.auth import Caller
from conductor_actors.dashboard.bodies import sessions_body
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.connections import Connection
from conductor_actors.dashboard.hub import Hub
from conductor_actors.domain.identity import SessionKey

MOST_SUBSCRIPTIONS: Final = 100  # of one client

Slot: TypeAlias = tuple[str, str]  # a kind of message, and the session it is about
_SESSIONS: Final[Slot] = ("sessions", "")


class Sendable(Protocol):
    """What can become a packet when its turn has come."""

    def packet(self, namespace: str) -> engineio_packet.Packet:
        """Encode it for a namespace."""


class Message:
    """An event with a body that is encoded once, however many clients it goes to."""

    def __init__(self, event: str, body: bytes) -> None:
        self._text = f'["{event}",{body.decode()}]'
        self._packets: dict[str, engineio_packet.Packet] = {}

    def packet(self, namespace: str) -> engineio_packet.Packet:
        """Encode it for a namespace."""
        packet = self._packets.get(namespace)
        if packet is None:
            head = "2" if namespace == "/" else f"2{namespace},"
            packet = engineio_packet.Packet(engineio_packet.MESSAGE, head + self._text)
            self._packets[namespace] = packet
        return packet


class _Sessions:
    """Sessions whose newest update a client has yet to get: only their names are kept."""

    def __init__(self, hub: Hub, tenant: str, names: Iterable[str]) -> None:
        self._hub = hub
        self._tenant = tenant
        self.names = set(names)

    def packet(self, namespace: str) -> engineio_packet.Packet:
        """Encode what is the newest now."""
        body = sessions_body(self._hub.newest(self._tenant, self.names))
        return Message("sessions:update", body).packet(namespace)


class Client:
    """A namespace that a connection has connected to, with the caller it was found to be."""

    def __init__(self, sid: str, namespace: str, connection: Connection, caller: Caller) -> None:
        self.sid = sid
        self.namespace = namespace
        self.connection = connection
        self.caller = caller
        self.sessions: set[str] = set()
        self._slots: dict[Slot, Sendable] = {}

    @property
    def waits(self) -> bool:
        """Whether messages wait because the client did not keep up."""
        return bool(self._slots)

    @property
    def keeps_up(self) -> bool:
        """Whether a message would be handed over at once."""
        return not self._slots and self.connection.has_room()

    def offer(self, slot: Slot, message: Sendable) -> bool:
        """Hand a message over, or keep it in its slot; False if it replaced one there."""
        if self.keeps_up:
            self.connection.put(message.packet(self.namespace))
            return True
        is_first = slot not in self._slots
        self._slots[slot] = message
        return is_first

    def waiting(self, slot: Slot) -> Sendable | None:
        """Return the message that waits in a slot."""
        return self._slots.get(slot)

    def drop(self, session: str) -> None:
        """Drop the messages that wait about a session."""
        self._slots = {slot: one for slot, one in self._slots.items() if slot[1] != session}

    def flush(self) -> None:
        """Hand over what waits, if the client has caught up."""
        if self.connection.has_room():
            for message in self._slots.values():
                self.connection.put(message.packet(self.namespace))
            self._slots.clear()


class Broadcast:
    """Every client, what it wants, and whether it keeps up."""

    def __init__(self, hub: Hub, metrics: DashboardMetrics) -> None:
        self._hub = hub
        self._metrics = metrics
        self._clients: dict[tuple[str, str], Client] = {}
        self._tenants: Counter[str] = Counter()
        self._subscribers: dict[SessionKey, dict[Client, None]] = {}
        self._watchers: defaultdict[str, dict[Client, None]] = defaultdict(dict)
        self._waiting: dict[Client, None] = {}

    def __len__(self) -> int:
        return len(self._clients)

    def clients(self) -> list[Client]:
        """List every client."""
        return list(self._clients.values())

    def client(self, sid: str, namespace: str) -> Client | None:
        """Find a client."""
        return self._clients.get((sid, namespace))

    def of_tenant(self, tenant: str) -> int:
        """Count a tenant's clients."""
        return self._tenants[tenant]

    def add(self, client: Client) -> None:
        """Add a client."""
        self._clients[client.sid, client.namespace] = client
        self._tenants[client.caller.tenant] += 1

    def remove(self, client: Client) -> None:
        """Forget a client and all it wanted."""
        for session in list(client.sessions):
            self.unsubscribe(client, session)
        self.unwatch(client)
        self._waiting.pop(client, None)
        if self._clients.pop((client.sid, client.namespace), None) is not None:
            self._tenants -= Counter({client.caller.tenant: 1})  # drops the tenant at zero

    def subscribe(self, client: Client, session: str) -> bool:
        """Subscribe a client to a session; return False if it has too many subscriptions."""
        if session not in client.sessions:
            if len(client.sessions) >= MOST_SUBSCRIPTIONS:
                return False
            client.sessions.add(session)
            client.connection.interests += 1
            self._metrics.subscriptions.inc()
        key = SessionKey(client.caller.tenant, session)
        self._subscribers.setdefault(key, {})[client] = None
        return True

    def unsubscribe(self, client: Client, session: str) -> None:
        """Unsubscribe a client from a session."""
        if session not in client.sessions:
            return
        client.sessions.discard(session)
        client.connection.interests -= 1
        self._metrics.subscriptions.dec()
        client.drop(session)
        key = SessionKey(client.caller.tenant, session)
        self._subscribers[key].pop(client, None)
        if not self._subscribers[key]:
            del self._subscribers[key]

    def subscribed(self) -> list[SessionKey]:
        """List the sessions that somebody is told of."""
        return list(self._subscribers)

    def subscribers(self, key: SessionKey) -> list[Client]:
        """List who is told of a session."""
        return list(self._subscribers.get(key, ()))

    def announce(self, key: SessionKey, kind: str, event: str, body: bytes) -> None:
        """Send a message to a session's subscribers; it replaces a waiting one of its kind."""
        subscribers = self._subscribers.get(key)
        if not subscribers:
            return
        message = Message(event, body)
        slot = (kind, key.session_id)
        for client in subscribers:
            self.send(client, slot, message)

    def watch(self, client: Client) -> None:
        """Subscribe a client to its tenant's sessions: all of them now, then those that change."""
        watchers = self._watchers[client.caller.tenant]
        if client not in watchers:
            watchers[client] = None
            client.connection.interests += 1
        self._send_sessions(client, self._visible(client, self._hub.names(client.caller.tenant)))

    def unwatch(self, client: Client) -> None:
        """Unsubscribe a client from its tenant's sessions."""
        if client in self._watchers.get(client.caller.tenant, ()):
            del self._watchers[client.caller.tenant][client]
            client.connection.interests -= 1
            client.drop(_SESSIONS[1])

    def announce_sessions(self, tenant: str, changed: set[str]) -> None:
        """Send the sessions that changed to the tenant's watchers, in one message."""
        watchers = self._watchers.get(tenant)
        if not watchers:
            return
        everything = Message("sessions:update", sessions_body(self._hub.newest(tenant, changed)))
        for client in watchers:
            if client.caller.sessions is None and client.keeps_up:
                self.send(client, _SESSIONS, everything)
            elif names := self._visible(client, changed):
                self._send_sessions(client, names)

    def send(self, client: Client, slot: Slot, message: Sendable) -> None:
        """Send a message now, or as soon as the client has caught up."""
        self._metrics.messages_sent.inc()
        if not client.offer(slot, message):
            self._metrics.messages_replaced.inc()
        if client.waits:
            self._waiting[client] = None

    def flush(self) -> None:
        """Send what has waited to those who have caught up."""
        for client in list(self._waiting):
            client.flush()
            if not client.waits:
                del self._waiting[client]

    def _send_sessions(self, client: Client, names: set[str]) -> None:
        before = client.waiting(_SESSIONS)
        if isinstance(before, _Sessions):
            names = names | before.names
        self.send(client, _SESSIONS, _Sessions(self._hub, client.caller.tenant, names))

    @staticmethod
    def _visible(client: Client, names: set[str]) -> set[str]:
        sessions = client.caller.sessions
        return names if sessions is None else names & sessions
