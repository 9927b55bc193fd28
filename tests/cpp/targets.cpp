// Targets of a block: labels and weights, their ratios, and how groups are padded. From
// the root:
//
//     g++ -std=c++20 -O1 -ffp-contract=off -DSECANT_ISA=baseline -Icpp/include
//     tests/cpp/targets.cpp -o targets && ./targets
#include "driver.hpp"
#include "secant/network/targets.hpp"

using namespace driver;

namespace {

constexpr std::size_t O = few_targets + 1, N = lanes + 1;
constexpr double offset = 0.25;

// y of class k, of any sample: it lies in a group, with the other samples between.
constexpr Real probability(std::size_t k) {
    return static_cast<Real>(0.125 * static_cast<double>(k + 1));
}

void require_target(const TargetLists& targets, std::size_t n, std::size_t i,
                    std::size_t k, Real weight) {
    const Target t = targets.of_sample(n)[i];
    const TargetPacks packs = targets.packs(n / lanes * lanes, i);
    const Exact sum = Exact{probability(k)} + static_cast<Exact>(offset);
    require(t.k == k && t.weight == weight, "a class or its weight");
    require(close(t.ratio, probability(k) / sum, 1, 2) &&
                close(t.rest, static_cast<Exact>(offset) / sum, 1, 2),
            "y / (y + offset)");
    Numbers classes(O * lanes);
    for (std::size_t c = 0; c < O * lanes; ++c)
        classes[c] = static_cast<Real>(c / lanes);
    require(targets.are_many(n) ||
                lane(targets.classes(n / lanes * lanes, i).load(classes.data()),
                     n % lanes) == static_cast<Real>(k),
            "the class of a lane");
    require(lane(packs.weight, n % lanes) == weight &&
                lane(packs.ratio, n % lanes) == t.ratio &&
                lane(packs.rest, n % lanes) == t.rest,
            "a lane of a group");
}

}  // namespace

int main() {
    const SmallNetwork small{2, 4, O};
    const Network net = small.view("sigmoid", false, offset);
    Made<Parameters> parameters(net, 1, Reading::packed, false);
    Numbers y(O * lanes);
    for (std::size_t k = 0; k < O; ++k)
        std::fill_n(y.data() + k * lanes, lanes, probability(k));
    const auto from = [](std::size_t n) {
        return N - 1 - n;
    };  // the caller's rows, backwards
    const auto fill = [&](TargetLists& targets, bool many) {
        for (std::size_t n = 0; n < N; ++n) targets.measure(n, from(n));
        require(!targets.any_has_many(N), "all classes but one are few");
        for (std::size_t begin = 0; begin < N; begin += lanes) {
            const std::size_t end = std::min(N, begin + lanes);
            targets.fill(
                begin, end, many, [&](std::size_t l) { return from(begin + l); },
                y.data(), nullptr);
        }
    };

    std::vector<std::int64_t> labels(N);
    for (std::size_t n = 0; n < N; ++n) labels[n] = static_cast<std::int64_t>(n % O);
    const Targets of_labels{labels.data(), nullptr};
    Made<TargetLists> labelled(of_labels, *parameters, N);
    fill(*labelled, false);
    for (std::size_t n = 0; n < N; ++n) {
        require(labelled->of_sample(n).count == 1 && labelled->measure(n, n) == 1,
                "a label is one target of weight 1");
        require_target(*labelled, n, 0, from(n) % O, 1);
    }

    // Of row n the class n % O has no weight, the last row has none at all.
    std::vector<double> weights(N * O);
    for (std::size_t n = 0; n + 1 < N; ++n)
        for (std::size_t k = 0; k < O; ++k)
            weights[n * O + k] = k == n % O ? 0 : 0.5 * static_cast<double>(k + 1);
    const Targets of_weights{nullptr, weights.data()};
    Made<TargetLists> soft(of_weights, *parameters, N);
    fill(*soft, false);
    for (std::size_t n = 0; n < N; ++n) {
        require(soft->of_sample(n).count == (n == 0 ? 0 : O - 1),
                "weights of 0 are no targets");
        for (std::size_t k = 0, i = 0; k < O && n > 0; ++k)
            if (k != from(n) % O)
                require_target(*soft, n, i++, k,
                               static_cast<Real>(0.5 * static_cast<double>(k + 1)));
    }
    require(soft->largest_count(0, std::min(lanes, N)) == (lanes > 1 ? O - 1 : 0),
            "the most targets of a sample");
    if constexpr (lanes >
                  1) {  // sample 0 has no target: its lane of those of the others is 0
        const TargetPacks none = soft->packs(0, 0);
        require(lane(none.weight, 0) == 0 && lane(none.ratio, 0) == 0 &&
                    lane(none.rest, 0) == 0,
                "what pads a group");
    }
    fill(*soft, true);
    for (std::size_t n = 0; n < N; ++n) {
        require(soft->of_sample(n).count == O, "of many targets, each class is one");
        for (std::size_t k = 0; k < O; ++k)
            if (const double weight = weights[from(n) * O + k]; weight != 0)
                require_target(*soft, n, k, k, static_cast<Real>(weight));
            else
                require(soft->of_sample(n)[k].weight == 0 &&
                            soft->of_sample(n)[k].rest == 0,
                        "a class without a weight");
    }
    require(soft->measure(0, 0) == 7 && soft->measure(0, N - 1) == 0,
            "the sum of weights");
    for (const double bad : {-1e-300, std::numeric_limits<double>::infinity(),
                             std::numeric_limits<double>::quiet_NaN()}) {
        weights[1] = bad;
        require(std::isnan(soft->measure(0, 0)), "weights that are not valid");
    }
    return verdict("targets");
}
