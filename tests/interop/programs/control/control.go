// Package control lets a test steer a program: one JSON object a line comes in, and one a line goes out.
//
// A request is {"do": "name", ...}, an answer {"answer": ...} or {"error": "words"}. Requests are done one after the
// other. The program ends with its standard input, so that no test can leave one behind.
package control

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// Act does what one request asks for.
type Act func(request []byte) (any, error)

// Acts are all that a program can do, by name.
type Acts map[string]Act

// With makes an Act of a function that takes the fields of a request. A field that it does not know is an error.
func With[Fields any](act func(Fields) (any, error)) Act {
	return func(request []byte) (any, error) {
		named := struct {
			Do     string `json:"do"`
			Fields Fields `json:"fields"`
		}{}

		decoder := json.NewDecoder(bytes.NewReader(request))
		decoder.DisallowUnknownFields()

		if err := decoder.Decode(&named); err != nil {
			return nil, err
		}

		return act(named.Fields)
	}
}

// Serve does requests until there are no more.
func Serve(acts Acts) {
	requests := bufio.NewReader(os.Stdin)
	answers := json.NewEncoder(os.Stdout)

	for {
		request, err := requests.ReadBytes('\n')
		if err != nil {
			return
		}

		answer, err := do(acts, request)

		reply := map[string]any{"answer": answer}
		if err != nil {
			reply = map[string]any{"error": err.Error()}
		}

		if err = answers.Encode(reply); err != nil {
			return
		}
	}
}

func do(acts Acts, request []byte) (any, error) {
	var named struct {
		Do string `json:"do"`
	}

	if err := json.Unmarshal(request, &named); err != nil {
		return nil, err
	}

	act, known := acts[named.Do]
	if !known {
		return nil, fmt.Errorf("there is no act %q", named.Do)
	}

	return act(request)
}
