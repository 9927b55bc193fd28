// Inputs that another thread writes to while their entries are found: each entry must
// be one that was found, whatever the numbers are. With -DSECANT_SINGLE they are those
// of float. From the root:
//
//     g++ -std=c++20 -O2 -pthread -DSECANT_ISA=baseline -Icpp/include
//     tests/cpp/rows.cpp -o rows && ./rows
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "secant/network/rows.hpp"

namespace {

using namespace secant;
using namespace secant::SECANT_ISA;

constexpr std::size_t columns = block_columns;

// Whether the entries of a block are columns in their order, each with a value of its
// own.
bool were_found(const RowBlock& row) {
    std::size_t count = 0;
    for (const Entry* e = row.begin; e < row.end; ++e, ++count)
        if (e->column >= columns || e->column < count ||
            (!row.full && e->value != count))
            return false;
    return count <= columns;
}

}  // namespace

int main() {
    std::vector<Real> x(
        columns, 1);  // begins without a zero, so that the row is read as a whole first
    const Inputs inputs{
        std::is_same_v<Real, float> ? Inputs::Type::float32 : Inputs::Type::float64,
        x.data(),
        1,
        columns,
        {}};
    Workspace counting(nullptr);
    Rows(counting, inputs, 1, true);
    std::vector<std::byte> memory(counting.bytes() + 64);
    void* block = memory.data() +
                  (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64) % 64;
    std::memset(
        block, 0xff,
        counting.bytes());  // entries that nobody wrote are columns that do not exist
    Workspace work(block);
    Rows rows(work, inputs, 1, true);

    std::atomic<bool> stop{false};
    std::thread writer([&] {
        volatile Real* values = x.data();
        for (std::size_t round = 0; !stop; ++round)
            for (std::size_t i = 4; i < columns; ++i)
                values[i] = static_cast<Real>((round + i / 16) % 2);
    });
    bool right = true;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    while (right && std::chrono::steady_clock::now() < end) {
        rows.gather(0, 0);
        right = were_found(rows.block_alone(0, 0));
    }
    stop = true;
    writer.join();
    std::puts(right ? "all entries were found" : "an entry that was not found");
    return right ? 0 : 1;
}
