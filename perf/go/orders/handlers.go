package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"strconv"
)

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(value)
}

func answerError(w http.ResponseWriter, status int, text string) {
	answer(w, status, map[string]string{"error": text})
}

// answerFailure answers with the status that an error of the service means.
func answerFailure(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, errNotFound):
		status = http.StatusNotFound
	case errors.Is(err, errBusy):
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	case errors.Is(err, context.DeadlineExceeded):
		status = http.StatusGatewayTimeout
	case errors.Is(err, context.Canceled):
		status = http.StatusServiceUnavailable // the client has hung up: nobody will read it
	default:
		log.Printf("orders: %v", err)
	}
	answerError(w, status, err.Error())
}

func (s *service) postOrder(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if err != nil {
		answerError(w, http.StatusRequestEntityTooLarge, err.Error())
		return
	}
	var wanted newOrder
	if err := json.Unmarshal(body, &wanted); err != nil {
		answerError(w, http.StatusBadRequest, "bad JSON: "+err.Error())
		return
	}
	if err := validate(wanted); err != nil {
		answerError(w, http.StatusBadRequest, err.Error())
		return
	}
	placed, err := s.place(r.Context(), wanted)
	if err != nil {
		answerFailure(w, err)
		return
	}
	w.Header().Set("Location", "/orders/"+strconv.FormatInt(placed.ID, 10))
	answer(w, http.StatusCreated, placed)
}

func (s *service) getOrder(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		answerFailure(w, errNotFound)
		return
	}
	found, err := s.store.find(id)
	if err != nil {
		answerFailure(w, err)
		return
	}
	answer(w, http.StatusOK, found)
}

// recovered is a middleware: a panic costs its request, and no more.
func recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				log.Printf("http: panic serving %s: %s %s: %v", r.RemoteAddr, r.Method, r.URL.Path, p)
				status := http.StatusInternalServerError
				if r.Context().Err() != nil {
					status = http.StatusServiceUnavailable
				}
				answerError(w, status, http.StatusText(status))
			}
		}()
		next.ServeHTTP(w, r)
	})
}

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", s.postOrder)
	mux.HandleFunc("GET /orders/{id}", s.getOrder)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	return recovered(mux)
}
