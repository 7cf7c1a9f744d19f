package gitops

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	jsonpatch "github.com/evanphx/json-patch"
	lua "github.com/yuin/gopher-lua"
	luajson "layeh.com/gopher-json"
)

// The clock of every script.
const now = "20260101T002000Z"

// Argo CD's scripts for Saga.
func script(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../argocd", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// run runs a script as Argo CD does: with the libraries base, package and table, an os of which only require("os") knows and that has
// nothing but date and time, the object as obj, the parameters as actionParams, and one second.
func run(script string, object map[string]any, params map[string]any) (any, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}} {
		call := lua.P{Fn: state.NewFunction(library.open), NRet: 0, Protect: true}
		if err := state.CallByParam(call, lua.LString(library.name)); err != nil {
			return nil, err
		}
	}
	state.PreloadModule(lua.OsLibName, func(state *lua.LState) int {
		state.Push(state.SetFuncs(state.NewTable(), map[string]lua.LGFunction{
			"time": func(state *lua.LState) int { state.Push(lua.LNumber(1767226800)); return 1 },
			"date": func(state *lua.LState) int {
				if format := state.CheckString(1); format != "!%Y%m%dT%H%M%SZ" {
					state.RaiseError("the clock of this test knows no %s", format)
				}
				state.Push(lua.LString(now))
				return 1
			},
		}))
		return 1
	})
	limit, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(limit)
	if params != nil {
		state.SetGlobal("actionParams", toLua(state, params))
	}
	state.SetGlobal("obj", toLua(state, object))
	if err := state.DoString(script); err != nil {
		if told := (*lua.ApiError)(nil); errors.As(err, &told) {
			return nil, errors.New(told.Object.String())
		}
		return nil, err
	}
	text, err := luajson.Encode(state.Get(-1))
	if err != nil {
		return nil, err
	}
	var result any
	return result, json.Unmarshal(text, &result)
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case float64:
		return lua.LNumber(value)
	case int64:
		return lua.LNumber(value)
	case string:
		return lua.LString(value)
	case []any:
		list := state.CreateTable(len(value), 0)
		for _, item := range value {
			list.Append(toLua(state, item))
		}
		return list
	case map[string]any:
		table := state.CreateTable(0, len(value))
		for key, item := range value {
			table.RawSetString(key, toLua(state, item))
		}
		return table
	}
	return lua.LNil
}

// click runs an action and returns the patch that Argo CD sends: the difference between the object and what the script returned, of which
// it first makes empty lists to empty objects where the object had those.
func click(t *testing.T, action string, object, params map[string]any) (map[string]any, error) {
	t.Helper()
	result, err := run(script(t, "actions/"+action+"/action.lua"), object, params)
	if err != nil {
		return nil, err
	}
	before, after := encode(t, object), encode(t, emptied(result, object))
	text, err := jsonpatch.CreateMergePatch(before, after)
	if err != nil {
		t.Fatal(err)
	}
	patch := map[string]any{}
	return patch, json.Unmarshal(text, &patch)
}

func emptied(after, before any) any {
	switch after := after.(type) {
	case map[string]any:
		if before, is := before.(map[string]any); is {
			for key, value := range after {
				after[key] = emptied(value, before[key])
			}
		}
	case []any:
		switch before := before.(type) {
		case map[string]any:
			if len(after) == 0 {
				return map[string]any{}
			}
		case []any:
			for place := range after {
				if place < len(before) {
					after[place] = emptied(after[place], before[place])
				}
			}
		}
	}
	return after
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// owned adds what the API server adds to an object that several managers write.
func owned(object map[string]any) map[string]any {
	object["metadata"].(map[string]any)["managedFields"] = []any{map[string]any{
		"manager": "argocd-controller", "operation": "Apply", "apiVersion": "saga.dev/v1alpha1", "fieldsType": "FieldsV1",
		"fieldsV1": map[string]any{"f:spec": map[string]any{".": map[string]any{}, "f:steps": map[string]any{`k:{"name":"a"}`: map[string]any{}}}},
	}}
	return object
}

type clicked struct {
	State, Action string
	Params        map[string]any
	Writes, Fails string
}

func TestAClickWritesOneAnnotationAndNothingElse(t *testing.T) {
	var clicks []clicked
	read(t, "clicks.yaml", &clicks)
	for _, known := range clicks {
		object := owned(golden(t, known.State))
		patch, err := click(t, known.Action, object, known.Params)
		if known.Fails != "" {
			if err == nil || err.Error() != known.Fails {
				t.Errorf("%+v: %v, %v", known, patch, err)
			}
			continue
		}
		version := object["metadata"].(map[string]any)["resourceVersion"].(string)
		value := strings.ReplaceAll(known.Writes, "TOKEN", now+"."+version)
		wanted := map[string]any{"metadata": map[string]any{"annotations": map[string]any{"saga.dev/" + known.Action: value}}}
		if err != nil || string(encode(t, patch)) != string(encode(t, wanted)) {
			t.Errorf("%+v: %v, %v", known, patch, err)
		}
	}
}

func TestAClickIsUnderstoodByAnArgoCDThatKnowsNoParameters(t *testing.T) {
	for _, action := range actions(t) {
		object := golden(t, "failed")
		if action == "approve" || action == "reject" {
			object = golden(t, "waiting-for-approval")
		}
		patch, err := click(t, action, object, nil)
		if action == "settle" {
			// Nobody but the person who clicks knows what became of the attempt.
			if err == nil {
				t.Errorf("%s: %v", action, patch)
			}
			continue
		}
		if err != nil || len(patch) != 1 {
			t.Errorf("%s: %v, %v", action, patch, err)
		}
	}
}

func TestASecondClickAsksAgainWhateverStandsThere(t *testing.T) {
	object := golden(t, "failed")
	metadata := object["metadata"].(map[string]any)
	// In Git, from a click before, from a person.
	for _, value := range []string{"charge-card@2026-01-01", "*@" + now + ".1002", "*"} {
		metadata["annotations"] = map[string]any{"saga.dev/retry": value, "saga.dev/handled": "3", "other": ""}
		patch, err := click(t, "retry", object, map[string]any{})
		written := patch["metadata"].(map[string]any)["annotations"].(map[string]any)
		if err != nil || len(written) != 1 || written["saga.dev/retry"] != "*@"+now+"."+metadata["resourceVersion"].(string) {
			t.Errorf("%s: %v, %v", value, patch, err)
		}
	}
}

// Lua knows no null: Argo CD takes it out of the object, whatever the action. The page about GitOps says so.
func TestANullIsLostByEveryAction(t *testing.T) {
	object := golden(t, "failed")
	object["spec"].(map[string]any)["params"].(map[string]any)["coupon"] = nil
	patch, err := click(t, "retry", object, map[string]any{})
	if _, lost := patch["spec"]; err != nil || !lost {
		t.Errorf("the page about GitOps warns of what does not happen: %v, %v", patch, err)
	}
}

func TestTheButtonsAreThoseThatTheEngineTakes(t *testing.T) {
	var accepted map[string]map[string][]string
	read(t, "accepted.yaml", &accepted)
	// Accepted, and of no use.
	hidden := map[string]bool{"paused-while-compensation-failed pause": true, "paused-while-failed pause": true, "paused pause": true,
		"paused-while-an-approval-waits pause": true, "paused-while-compensating pause": true}
	for state, of := range accepted {
		found, err := run(script(t, "actions/discovery.lua"), golden(t, state), nil)
		if err != nil {
			t.Fatal(err)
		}
		buttons := found.(map[string]any)
		if len(buttons) != len(of) {
			t.Errorf("%s: %v", state, buttons)
		}
		for action, values := range of {
			button := buttons[action].(map[string]any)
			wanted := len(values) > 0 && !hidden[state+" "+action]
			if button["disabled"] != !wanted {
				t.Errorf("%s: the button %s is disabled: %v; the engine takes %v", state, action, button["disabled"], values)
			}
			if button["displayName"] == "" || button["iconClass"] == "" || len(button["params"].([]any)) != 1 {
				t.Errorf("%s: %v", action, button)
			}
		}
	}
}

// The names of the actions, by their folders.
func actions(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("../../argocd/actions/*/action.lua")
	if err != nil || len(found) != 9 {
		t.Fatal(found, err)
	}
	for place := range found {
		found[place] = filepath.Base(filepath.Dir(found[place]))
	}
	return found
}
