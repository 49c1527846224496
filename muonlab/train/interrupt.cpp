#include "muonlab/train/interrupt.h"

#include <csignal>

namespace muonlab::train {

namespace {

volatile std::sig_atomic_t g_interrupted = 0;

extern "C" void on_signal(int number) {
  if (g_interrupted != 0) {
    std::signal(number, SIG_DFL);
    std::raise(number);
    return;
  }
  g_interrupted = 1;
}

}  // namespace

InterruptGuard::InterruptGuard() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

InterruptGuard::~InterruptGuard() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

bool interrupted() noexcept { return g_interrupted != 0; }

}  // namespace muonlab::train
