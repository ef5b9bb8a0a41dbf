import pytest

from lab.http import Request, RequestError, RequestReader, Response


def test_request_in_pieces_is_read_when_complete():
    reader = RequestReader()
    whole = b"POST /schematics?a=1&b= HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"

    assert [reader.feed(whole[i : i + 1]) for i in range(len(whole) - 1)] == [[]] * (len(whole) - 1)
    (request,) = reader.feed(whole[-1:])

    assert request == Request(
        "POST", "/schematics", {"a": "1", "b": ""}, {"host": "x", "content-length": "4"}, b"body", keep_alive=True
    )


def test_two_requests_in_one_piece_are_both_read():
    requests = RequestReader().feed(b"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nConnection: Close\r\n\r\n")

    assert [(r.path, r.keep_alive) for r in requests] == [("/a", True), ("/b", False)]


def test_http_1_0_is_not_kept_alive():
    (request,) = RequestReader().feed(b"GET / HTTP/1.0\r\n\r\n")

    assert not request.keep_alive


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"x" * 20000,
    ],
)
def test_what_is_no_request_is_refused(data):
    with pytest.raises(RequestError):
        RequestReader().feed(data)


def test_answer_has_its_length_and_says_whether_the_connection_stays():
    assert Response.text("on\n", 404).render(keep_alive=False) == (
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n"
        b"Connection: close\r\n\r\non\n"
    )


def test_answer_to_head_has_the_length_without_the_body():
    wire = Response.text("on\n").render(keep_alive=True, with_body=False)

    assert b"Content-Length: 3" in wire
    assert wire.endswith(b"\r\n\r\n")


def test_answer_without_content_has_no_length_but_its_headers():
    wire = Response(204, headers={"ETag": '"1"'}).render(keep_alive=True)

    assert wire == b'HTTP/1.1 204 No Content\r\nETag: "1"\r\nConnection: keep-alive\r\n\r\n'


def test_request_says_whose_it_is():
    (request,) = RequestReader("127.0.0.1:5").feed(b"PATCH / HTTP/1.1\r\n\r\n")

    assert (request.method, request.peer) == ("PATCH", "127.0.0.1:5")
